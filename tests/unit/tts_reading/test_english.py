"""What an English voice says: the cases of docs/tts.md and their neighbours."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.tts.reading.english_numbers import cardinal, year
from services.tts.reading.spoken import Spoken
from services.tts.reading.words import words_of


def said(text: str, language: str = "en-US") -> str:
    return " ".join(words_of(Spoken.of(text), language).text.split())


@pytest.mark.parametrize(
    ("shown", "spoken"),
    [
        ("Revenue was $2.4M.", "Revenue was two point four million dollars."),
        ("It costs $3.5k.", "It costs three point five thousand dollars."),
        ("€1.2bn in debt.", "one point two billion euros in debt."),
        ("£3.4m", "three point four million pounds"),
        ("$2.4 M", "two point four million dollars"),
        ("€1 or £3 million", "one euro or three million pounds"),
        ("$1,500/month", "one thousand five hundred dollars per month"),
        ("1.299,00 EUR", "one thousand two hundred ninety-nine euros"),
        ("$-5 and -$5", "minus five dollars and minus five dollars"),
        ("20¢ or 1 ¢", "twenty cents or one cent"),
        ("₹500", "five hundred rupees"),
        ("19,99 €", "nineteen euros and ninety-nine cents"),
        ("$8.75.", "eight dollars and seventy-five cents."),
        ("$0.50 or $1.01", "fifty cents or one dollar and one cent"),
        ("300 USD", "three hundred U.S. dollars"),
    ],
)
def test_money(shown: str, spoken: str) -> None:
    assert said(shown) == spoken


@pytest.mark.parametrize(
    ("shown", "spoken"),
    [
        ("Mail jo.doe@mail.example.org.", "Mail jo dot doe at mail dot example dot org."),
        ("user_name@site.org", "user underscore name at site dot org"),
        (
            "192.168.0.14:8080",
            "one hundred ninety-two dot one hundred sixty-eight dot zero dot fourteen"
            " port eight thousand eighty",
        ),
        ("10.0.0.1", "ten dot zero dot zero dot one"),
        ("Version 2.10.3", "Version two point ten point three"),
        ("3.11.7 and v2.0", "three point eleven point seven and version two point zero"),
        ("Python 3.11 is not 3.11", "Python three point eleven is not three point one one"),
        ("See site.org/help.", "See site dot org slash help."),
        ("https://www.example.com/x?y=1.", "example dot com."),
        ("www.example.org, HTTP://a.b/c", "example dot org, a dot b"),
        ("Edit config.yaml and .env", "Edit config dot yaml and dot env"),
        ("Run ./start.sh", "Run dot slash start dot sh"),
        (r"C:\Users\me\file.txt", "C colon backslash Users backslash me backslash file dot txt"),
        ("It ends here.Next one.", "It ends here.Next one."),
    ],
)
def test_addresses_versions_and_files(shown: str, spoken: str) -> None:
    assert said(shown) == spoken


@pytest.mark.parametrize(
    ("shown", "spoken"),
    [
        ("5'11\" tall", "five foot eleven tall"),
        ("6' tall", "six feet tall"),
        ('a 12" pizza', "a twelve inch pizza"),
        ('"chapter 12" and', '"chapter twelve" and'),
        ("5 sq ft, 3 lbs, 2 hrs", "five square feet, three pounds, two hours"),
        ("300MB/s", "three hundred megabytes per second"),
        ("It is 20°C.", "It is twenty degrees Celsius."),
        ("-5 degrees or −3 °F", "minus five degrees or minus three degrees Fahrenheit"),
        ("1 km, 1.5 m", "one kilometre, one point five metres"),
        ("80kg at 120 km/h", "eighty kilograms at one hundred twenty kilometres per hour"),
        ("25℃ in 3 s", "twenty-five degrees Celsius in three seconds"),
        ("1 m², 5 m³, 60 fps", "one square metre, five cubic metres, sixty frames per second"),
        ("10–20 people, ~30%.", "ten to twenty people, about thirty percent."),
        ("20~30 people, 5–6 km", "twenty to thirty people, five to six kilometres"),
        ("1-2 km in 10-20% of cases", "one to two kilometres in ten to twenty percent of cases"),
        ("MP3 m, 5 m2, 5 men", "MP3 m, five m2, five men"),
        ("COVID-19 and GPT-4, 4K, A4", "COVID-19 and GPT-4, 4K, A4"),
    ],
)
def test_measures(shown: str, spoken: str) -> None:
    assert said(shown) == spoken


@pytest.mark.parametrize(
    ("shown", "spoken"),
    [
        ("2^10 and x²", "two to the tenth and x squared"),
        ("x^3, 2⁻³ and 2^n", "x cubed, two to the minus three power and two to the n power"),
        ("5 ≤ 7", "five less than or equal to seven"),
        ("1 < 2 and x>3", "one less than two and x greater than three"),
        ("a >= b != c", "a greater than or equal to b not equal to c"),
        ("≈ 5 ± 1", "approximately five plus or minus one"),
        ("a → b", "a to b"),
        ("2*3*4 = 24", "two times three times four equals twenty-four"),
        ("3 * 4, 6 ÷ 2, 3×4", "three times four, six divided by two, three times four"),
        ("5 - 3 = 2", "five minus three equals two"),
        ("1920x1080", "nineteen twenty by one thousand eighty"),
        ("5x faster", "five times faster"),
        ("E=mc^2", "E equals mc squared"),
        ("CO2 and H₂O", "C O two and H two O"),
        ("#1 in C#", "number one in C sharp"),
        ("π is 3.14", "pi is three point one four"),
        ("List<int> x[0]", "List int x zero"),
        ("a_b_c", "a b c"),
        ("Mt. Hood, 24/7", "Mount Hood, twenty-four seven"),
    ],
)
def test_signs(shown: str, spoken: str) -> None:
    assert said(shown) == spoken


@pytest.mark.parametrize(
    ("shown", "spoken"),
    [
        ("03/04/2026", "March fourth, twenty twenty-six"),
        ("25/12/2026", "December twenty fifth, twenty twenty-six"),
        ("2026-03-09", "March ninth, twenty twenty-six"),
        ("on 5 May 2026", "on the fifth of May twenty twenty-six"),
        ("on May 5, 2026", "on May fifth, twenty twenty-six"),
        ("at 10:30 or 3:05pm", "at ten thirty or three o five PM"),
        ("In 2026, since 2005", "In twenty twenty-six, since two thousand five"),
        ("2024-2025", "twenty twenty-four to twenty twenty-five"),
        ("the 1990s and the '80s", "the nineteen nineties and the eighties"),
        ("1,000 people, 1208 seats", "one thousand people, one thousand two hundred eight seats"),
        ("2000 words in 2000", "two thousand words in two thousand"),
        ("305 and 10500", "three hundred five and ten thousand five hundred"),
        ("2,000,000", "two million"),
        ("3/4 of 1 1/2 cups", "three quarters of one and one half cups"),
        ("the 21st, 2.50, 007", "the twenty first, two point five zero, zero zero seven"),
        ("about .5 percent", "about zero point five percent"),
        (
            "+1 (415) 555-2671",
            "plus one, four one five, five five five, two six seven one",
        ),
        ("0800 123 456", "zero eight zero zero, one two three, four five six"),
        ("555-2671", "five five five, two six seven one"),
        ("12345678901234567", "one two three four five six seven eight nine zero one two three"
         " four five six seven"),
    ],
)  # fmt: skip
def test_dates_times_and_numbers(shown: str, spoken: str) -> None:
    assert said(shown) == spoken


@pytest.mark.parametrize(
    "text",
    ["Plain words, and nothing else.", "It's a well-known fact (really).", "“Yes” — he said…"],
)
def test_words_stay(text: str) -> None:
    assert said(text) == text


def test_other_languages_are_left_to_their_voices() -> None:
    assert said("Es sind 5 km für 3,50 €.", "de") == "Es sind 5 km für 3,50 €."


def test_cardinals_and_years() -> None:
    assert [cardinal(n) for n in (0, 13, 21, 100, 999, 1_001, 10**6, 10**12 + 5)] == [
        "zero", "thirteen", "twenty-one", "one hundred", "nine hundred ninety-nine",
        "one thousand one", "one million", "one trillion five",
    ]  # fmt: skip
    assert [year(n) for n in (1066 + 100, 1800, 1905, 2000, 2009, 2010, 2026)] == [
        "eleven sixty-six", "eighteen hundred", "nineteen oh five", "two thousand",
        "two thousand nine", "twenty ten", "twenty twenty-six",
    ]  # fmt: skip


@given(st.text(alphabet=list("0123456789.,:/-+$€%°^<>=#*_()[] kmMasx'\"@\\~é北"), max_size=40))
def test_every_spoken_character_stands_for_one_that_is_shown(text: str) -> None:
    for language in ("en", "zh"):
        spoken = words_of(Spoken.of(text), language)
        assert len(spoken.spans) == len(spoken.text)
        assert all(0 <= start < end <= len(text) for start, end in spoken.spans)
        starts = [start for start, _ in spoken.spans]
        assert starts == sorted(starts)
