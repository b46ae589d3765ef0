// The texts of the page, in English and Chinese.

const WORDS = {
  en: {
    skip: "Skip to the question box",
    settings: "Settings",
    close: "Close",
    dismiss: "Dismiss",
    stage: "The digital human",
    conversation: "Conversation",
    suggestions: "Questions to start with",
    question: "Your question",
    placeholder: "Ask something",
    tooLong: "Too long by {over}: a question can have at most {most} characters.",
    send: "Send",
    stop: "Stop the answer",
    microphoneOn: "Speak: turn the microphone on",
    microphoneOff: "Turn the microphone off",
    microphoneHold: "Hold to speak",
    unlock: "Tap to see and hear the answer",
    disclosure: "You are talking to an AI. Face and voice are synthetic.",
    persona: "Persona",
    avatar: "Face",
    voice: "Voice",
    language: "Language of the conversation",
    automatic: "Chosen by the persona",
    micMode: "Microphone",
    micOpen: "Always listening",
    micHold: "Hold the button to speak",
    stages: "Services",
    ready: "ready",
    notReady: "not available",
    tokenTitle: "Access token",
    tokenWhy: "This gateway requires a token. It is stored until you close this tab.",
    token: "Token",
    arrivalFailed: "This link was used before or is too old. Open this page again from the site you came from.",
    tokenWrong: "The gateway did not accept this token.",
    connect: "Connect",
    connecting: "Connecting",
    online: "Connected",
    degraded: "Connected, but some services are unavailable",
    offline: "No connection. Trying again in {seconds} s",
    listening: "Listening",
    hearing: "Hearing you",
    thinking: "Thinking",
    speaking: "Speaking",
    you: "You",
    interrupted: "interrupted",
    sources: "From",
    timingTitle: "First picture after {seconds} s",
    timingNone: "The last answer had no video or audio",
    timingPage: "On screen",
    timingRow: "{stage}: from {start} ms, for {length} ms",
    clause: "{stage} {number}",
    stage_asr: "Hearing",
    stage_llm: "Language",
    stage_memory: "Memory",
    stage_tts: "Voice",
    stage_avatar: "Face",
    stage_playout: "Playing",
    micDenied: "The microphone is blocked. Allow it for this page in the browser's address bar, then try again. You can always type.",
    micMissing: "No microphone was found. Connect one and try again, or type your question.",
    micBusy: "The microphone is in use by another program. Close it there and try again.",
    micInsecure: "Browsers allow the microphone only on pages from this computer or over https. Type your question, or open the page with https.",
    micLanguage: "Spoken {language} is not understood here, only {known}. Type your question, or choose another language of the conversation in the settings.",
    micOnly: "Spoken, only {known} is understood here. {language} has to be typed.",
    micMore: "For the operator: {more}",
    typedOnly: "{language} (typed only)",
    noMedia: "This browser cannot play live video, so you only get text. A current Chrome, Edge, Firefox or Safari shows the face.",
    noWebrtc: "WebRTC could not connect. Remove ?media=webrtc from the address to use the WebSocket instead.",
    refused: "The gateway ended the connection: {reason}",
    failed: "Something went wrong: {reason}",
    notSent: "Not connected yet, so the question was not sent. It is still in the box.",
    memory: "Memory",
    memoryOpen: "What is remembered about you",
    memoryCount: "{count} entries, newest first",
    memoryEmpty: "Nothing is remembered about you.",
    memoryMore: "Show more",
    memoryExport: "Save as a file",
    memoryForget: "Delete everything",
    memoryAsk: "This deletes everything permanently. Are you sure?",
    memoryKeep: "Keep it",
    memorySure: "Delete permanently",
    memoryDelete: "Delete",
    memoryFact: "Known about you",
    memoryThem: "Answer",
    portraitOpen: "Make a face from a photo",
    portraitWhy: "Use a clear photo of one face from the front, with the mouth closed. It stays on this gateway, and everyone who uses the gateway can choose the face.",
    portraitPhoto: "Photo",
    portraitName: "Name of the face",
    portraitMake: "Make it",
    portraitUse: "Talk to this face",
    portraitSending: "Sending the photo",
    portraitDone: "The face is ready.",
    consentText: "I am the person in this photo, or this person has agreed to have a speaking face made from it.",
    newConversation: "A new conversation has started with these settings.",
  },
  zh: {
    skip: "跳到提问框",
    settings: "设置",
    close: "关闭",
    dismiss: "知道了",
    stage: "数字人",
    conversation: "对话",
    suggestions: "可以这样开始",
    question: "您的问题",
    placeholder: "想问点什么？",
    tooLong: "超出 {over} 个字符：一个问题最多 {most} 个字符。",
    send: "发送",
    stop: "停止回答",
    microphoneOn: "说话：打开麦克风",
    microphoneOff: "关闭麦克风",
    microphoneHold: "按住说话",
    unlock: "点按即可观看和收听回答",
    disclosure: "您正在与人工智能对话，面容与声音均为合成。",
    persona: "人物",
    avatar: "形象",
    voice: "声音",
    language: "对话语言",
    automatic: "由人物决定",
    micMode: "麦克风",
    micOpen: "持续聆听",
    micHold: "按住按钮说话",
    stages: "服务",
    ready: "就绪",
    notReady: "不可用",
    tokenTitle: "访问令牌",
    tokenWhy: "此网关需要令牌。令牌只保留到您关闭此标签页。",
    token: "令牌",
    arrivalFailed: "此链接已被使用或已过期。请从原来的网站重新打开本页。",
    tokenWrong: "网关未接受此令牌。",
    connect: "连接",
    connecting: "正在连接",
    online: "已连接",
    degraded: "已连接，但部分服务不可用",
    offline: "连接中断，{seconds} 秒后重试",
    listening: "正在聆听",
    hearing: "正在听您说话",
    thinking: "正在思考",
    speaking: "正在回答",
    you: "您",
    interrupted: "已打断",
    sources: "来源",
    timingTitle: "{seconds} 秒后出现画面",
    timingNone: "上一个回答没有画面和声音",
    timingPage: "显示",
    timingRow: "{stage}：从 {start} 毫秒开始，用时 {length} 毫秒",
    clause: "{stage} {number}",
    stage_asr: "聆听",
    stage_llm: "语言",
    stage_memory: "记忆",
    stage_tts: "声音",
    stage_avatar: "面容",
    stage_playout: "播放",
    micDenied: "麦克风被禁用。请在浏览器地址栏中允许此页面使用麦克风，然后重试。您也可以打字提问。",
    micMissing: "未找到麦克风。请连接麦克风后重试，或打字提问。",
    micBusy: "麦克风正被其他程序占用。请关闭该程序后重试。",
    micInsecure: "浏览器只允许本机页面或 https 页面使用麦克风。请打字提问，或通过 https 打开此页面。",
    micLanguage: "这里听不懂{language}语音，只能听懂{known}。请打字提问，或在设置中选择其他对话语言。",
    micOnly: "这里的语音识别只能听懂{known}，{language}请打字输入。",
    micMore: "管理员可运行：{more}",
    typedOnly: "{language}（只能打字）",
    noMedia: "此浏览器无法播放实时视频，只能显示文字。新版 Chrome、Edge、Firefox 或 Safari 可以显示面容。",
    noWebrtc: "无法建立 WebRTC 连接。去掉地址中的 ?media=webrtc 后，页面会改用 WebSocket。",
    refused: "网关已断开连接：{reason}",
    failed: "出现问题：{reason}",
    notSent: "尚未连接，问题没有发送，仍保留在输入框中。",
    memory: "记忆",
    memoryOpen: "关于您的记忆",
    memoryCount: "共 {count} 条，最新的在前",
    memoryEmpty: "没有关于您的记忆。",
    memoryMore: "显示更多",
    memoryExport: "保存为文件",
    memoryForget: "全部删除",
    memoryAsk: "所有内容将被永久删除，确定吗？",
    memoryKeep: "保留",
    memorySure: "永久删除",
    memoryDelete: "删除",
    memoryFact: "关于您的事实",
    memoryThem: "回答",
    portraitOpen: "用照片制作面容",
    portraitWhy: "请使用清晰的单人正面照，嘴巴闭合。照片保存在此网关上，此网关的所有用户都可以选择这个面容。",
    portraitPhoto: "照片",
    portraitName: "面容名称",
    portraitMake: "开始制作",
    portraitUse: "与这个面容对话",
    portraitSending: "正在发送照片",
    portraitDone: "面容已就绪。",
    consentText: "照片中的人是我本人，或者此人已同意用这张照片制作会说话的面容。",
    newConversation: "已按新设置开始新的对话。",
  },
};

const KEY = "anima.interface-language";
let current = localStorage.getItem(KEY) ?? (navigator.language.startsWith("zh") ? "zh" : "en");

/** The language of the interface, "en" or "zh". */
export const interfaceLanguage = () => current;

/** Returns the text for a key, with its {places} filled in. */
export function t(key, places = {}) {
  const text = WORDS[current][key] ?? WORDS.en[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (_, name) => String(places[name] ?? ""));
}

/** Returns the name of a stage; an unknown stage keeps its own name. */
export const stageName = (stage) => (WORDS.en[`stage_${stage}`] ? t(`stage_${stage}`) : stage);

/** Translates all marked elements. */
export function translatePage() {
  document.documentElement.lang = current === "zh" ? "zh-CN" : "en";
  for (const element of document.querySelectorAll("[data-i18n]")) {
    element.textContent = t(element.dataset.i18n);
  }
  for (const element of document.querySelectorAll("[data-i18n-label]")) {
    const label = t(element.dataset.i18nLabel);
    element.setAttribute("aria-label", label);
    if (element.tagName === "BUTTON") element.title = label;
  }
  for (const element of document.querySelectorAll("[data-i18n-placeholder]")) {
    element.placeholder = t(element.dataset.i18nPlaceholder);
  }
  const button = document.getElementById("language-switch");
  button.textContent = current === "zh" ? "English" : "中文";
  button.lang = current === "zh" ? "en" : "zh";
}

/** Switches the language of the interface and stores the choice. */
export function switchLanguage() {
  current = current === "zh" ? "en" : "zh";
  localStorage.setItem(KEY, current);
  translatePage();
}
