"""Words of English facts, as parts of regular expressions."""

RELATION = (
    r"(?:(?:older|younger|elder|little|big|twin|other|first|second|best|new|late|grand|step)[ -]?)*"
    r"(?:dog|cat|puppy|kitten|horse|rabbit|hamster|parrot|bird|fish|turtle|pet|mother|mom|mum"
    r"|father"
    r"|dad|sister|brother|wife|husband|partner|girlfriend|boyfriend|fianc[eé]e?|son|daughter|child"
    r"|baby|grandmother|grandma|grandfather|grandpa|aunt|uncle|cousin|nephew|niece|friend|boss"
    r"|colleague|neighbou?r|teacher|doctor|dentist|roommate|flatmate|car|boat|company|band|school)"
)
NUMBER = r"(?:an?|one|two|three|four|five|six|seven|eight|nine|ten|\d{1,2})"
PLURAL = r"(?:dogs|cats|horses|rabbits|sisters|brothers|sons|daughters|children|kids|grandchildren)"
JOB = (
    r"nurse|doctor|teacher|engineer|programmer|developer|designer|lawyer|architect|carpenter|baker"
    r"|chef|cook|waiter|waitress|student|pensioner|journalist|writer|painter|musician|photographer"
    r"|pilot|driver|farmer|electrician|plumber|dentist|pharmacist|psychologist|scientist|researcher"
    r"|professor|accountant|manager|consultant|salesman|saleswoman|secretary|librarian|mechanic"
    r"|gardener|hairdresser|policeman|policewoman|firefighter|soldier|judge|translator|actor"
    r"|actress"
    r"|singer|dancer|physicist|chemist|biologist|mathematician|economist|midwife|paramedic|surgeon"
    r"|veterinarian|vet|tailor|butcher|fisherman|sailor|data scientist|social worker"
)
# A name after "I am" is told from other words by its capital, and from those below.
PLAIN_NAME = (
    r"(?!(?:OK|AI|English|German|French|Spanish|Italian|Dutch|British|Irish|Scottish|Welsh|Polish"
    r"|Turkish|Swedish|Danish|Finnish|Norwegian|Chinese|Japanese|Korean|Vietnamese|Indian|American"
    r"|Canadian|Mexican|Brazilian|Australian|Russian|Ukrainian|Austrian|Belgian|Swiss|Greek|Czech"
    r"|Portuguese|African|Asian|European|Nigerian|Egyptian|Iranian|Indonesian|Catholic|Christian"
    r"|Protestant|Muslim|Jewish|Buddhist|Hindu|Republican|Democrat|Late|Busy|Sorry|Back|Here)\b)"
    r"(?P<v>(?-i:[A-ZÀ-Þ][a-zß-ÿ'-]+(?: [A-ZÀ-Þ][\w'-]+){0,2}))"
)
AGE_WORD = (
    r"(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|(?:thir|four|fif|six|seven"
    r"|eigh|nine)teen|(?:twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety)(?:[ -]\w+)?)"
)
