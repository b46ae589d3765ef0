"""Fits the mouth that follows the sound to the one that follows the marks.

Run: python -m bench.fit_mouth > services/avatar/sound_weights.py
"""

from __future__ import annotations

import numpy as np

from bench.marked_speech import animate, speak
from services.avatar.clock import FrameClock
from services.avatar.loudness import SoundTrack
from services.avatar.visemes import LEAD_S

_STEPS_HZ = 50
_RIDGE = 2.0
_HEAD = '''"""How the mouth follows from band energies; made by bench/fit_mouth.py, not by hand."""

from __future__ import annotations

import numpy as np

'''


def main() -> None:
    features, mouths = [], []
    for speech in speak():
        sound = SoundTrack(speech.sample_rate_hz)
        sound.add(speech.audio)
        clock = FrameClock(sample_rate_hz=speech.sample_rate_hz, frame_rate_hz=_STEPS_HZ)
        for frame, face in enumerate(animate(speech, marked=True, frame_rate_hz=_STEPS_HZ)):
            heard = clock.sample_of(frame) + round(LEAD_S * speech.sample_rate_hz)
            if sound.level_at(heard):
                features.append([*sound.features_at(heard), 1.0])
                mouths.append([face.mouth.jaw, face.mouth.width, face.mouth.rounding])
    x, y = np.array(features), np.array(mouths)
    fitted = np.linalg.solve(x.T @ x + _RIDGE * np.eye(x.shape[1]), x.T @ y)
    print(_HEAD + "WEIGHTS = np.array(\n    [")
    for row in fitted[:-1]:
        print("        [" + ", ".join(f"{value:.3f}" for value in row) + "],")
    print("    ]\n)")
    print("BIAS = np.array([" + ", ".join(f"{value:.3f}" for value in fitted[-1]) + "])")


if __name__ == "__main__":
    main()
