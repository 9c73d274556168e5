//! Numbers that states, insurers and banks give to people: those of digits alone. Those with letters are in [`super::mixed`].
//!
//! A row is a form in which the number is written (`#` a digit), its check, and whether that form is enough without a word for
//! it: a form with its own signs is, a row of digits only where the check leaves less than one number in five hundred.

use crate::Kind;
use crate::check::{date, luhn, mod11_10, verhoeff, weighted};
use crate::personal::number::{Digits, Judged};
use crate::walk::Walk;
use crate::words::Senses;

struct Number {
    label: &'static str,
    kind: Kind,
    sense: Senses,
    /// How many digits it has.
    length: usize,
    /// Forms that need no word for it.
    alone: &'static [&'static str],
    /// Forms that need one; digits in one piece always may.
    told: &'static [&'static str],
    check: fn(&[u8]) -> bool,
}

const fn of(
    label: &'static str,
    length: usize,
    alone: &'static [&'static str],
    told: &'static [&'static str],
    check: fn(&[u8]) -> bool,
) -> Number {
    Number { label, kind: Kind::NationalId, sense: Senses::NATIONAL, length, alone, told, check }
}

/// Sources: the states' own publications of their numbers' structure, and the European Commission's "TIN algorithms".
const NUMBERS: &[Number] = &[
    Number { kind: Kind::Ssn, ..of("us-ssn", 9, &["###-##-####"], &["### ## ####"], us_ssn) },
    Number { kind: Kind::Ssn, ..of("us-itin", 9, &["###-##-####"], &[], us_itin) },
    of("ca-sin", 9, &["###-###-###"], &["### ### ###"], |d| d[0] != 0 && d[0] != 8 && luhn(d)),
    of("nl-bsn", 9, &["####.##.###"], &["#### ## ###"], nl_bsn),
    of("pt-nif", 9, &[], &["### ### ###"], pt_nif),
    of("au-tfn", 9, &[], &["### ### ###"], |d| weighted(d, &[1, 4, 3, 7, 5, 8, 6, 9, 10]).is_multiple_of(11)),
    of("gr-afm", 9, &[], &[], |d| {
        weighted(d, &[0, 128, 64, 32, 16, 8, 4, 2]).wrapping_add(u32::from(d[0]) * 256) % 11 % 10
            == u32::from(d[8])
    }),
    of("il-id", 9, &[], &[], luhn),
    of("pl-pesel", 11, &[], &[], pl_pesel),
    of("de-steuer-id", 11, &["## ### ### ###"], &["##/###/#####"], de_tax),
    of("be-nrn", 11, &["##.##.##-###.##"], &["######-###.##", "###### ### ##"], be_nrn),
    of("br-cpf", 11, &["###.###.###-##"], &["#########-##"], br_cpf),
    of("no-fnr", 11, &[], &["###### #####"], no_fnr),
    of("tr-tckn", 11, &[], &[], tr_tckn),
    of("hr-oib", 11, &[], &[], mod11_10),
    of("ee-ik", 11, &[], &[], |d| baltic(d) && (1..=8).contains(&d[0])),
    of("mx-nss", 11, &[], &["## ## ## #### #"], luhn),
    of("ar-cuit", 11, &["##-########-#"], &[], ar_cuit),
    of("at-svnr", 10, &[], &["#### ######"], at_svnr),
    of("se-personnummer", 10, &["######-####"], &[], |d| yymmdd(d, 60) && luhn(d)),
    of("se-personnummer", 12, &["########-####"], &[], |d| {
        yymmdd(d.get(2..).unwrap_or_default(), 60) && luhn(d.get(2..).unwrap_or_default())
    }),
    of("dk-cpr", 10, &[], &["######-####"], ddmmyy),
    of("cz-rc", 10, &["######/####"], &[], cz_rc),
    of("bg-egn", 10, &[], &[], |d| {
        weighted(d, &[2, 4, 8, 5, 10, 9, 7, 3, 6]) % 11 % 10 == u32::from(d[9]) && yymmdd_century(d)
    }),
    Number {
        kind: Kind::Medical,
        sense: Senses::MEDICAL,
        ..of("uk-nhs", 10, &[], &["### ### ####", "###-###-####"], uk_nhs)
    },
    Number { kind: Kind::Medical, sense: Senses::MEDICAL, ..of("us-npi", 10, &[], &[], us_npi) },
    of("au-medicare", 10, &[], &["#### ##### #"], |d| {
        (2..=6).contains(&d[0]) && weighted(d, &[1, 3, 7, 9, 1, 3, 7, 9]) % 10 == u32::from(d[8])
    }),
    of("in-aadhaar", 12, &["#### #### ####"], &["####-####-####"], |d| d[0] > 1 && verhoeff(d)),
    of("jp-my-number", 12, &[], &["#### #### ####"], jp_my_number),
    of("es-nss", 12, &["## ########## ##", "##/########/##", "## ######## ##"], &["##/##########"], es_nss),
    of("ch-ahv", 13, &["###.####.####.##"], &[], |d| d.starts_with(&[7, 5, 6]) && ean(d)),
    of("kr-rrn", 13, &["######-#######"], &[], kr_rrn),
    of("za-id", 13, &[], &["###### #### ###"], |d| yymmdd(d, 0) && d[10] < 2 && luhn(d)),
    of("ro-cnp", 13, &[], &[], |d| {
        (1..=8).contains(&d[0])
            && yymmdd(d.get(1..).unwrap_or_default(), 0)
            && weighted(d, &[2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9]) % 11 % 10 == u32::from(d[12])
    }),
    of("rs-jmbg", 13, &[], &[], rs_jmbg),
    of("th-id", 13, &["#-####-#####-##-#"], &[], th_id),
    of("br-cnpj", 14, &["##.###.###/####-##"], &[], br_cnpj),
    of(
        "fr-nir",
        15,
        &["# ## ## ## ### ### ##", "# ## ## ## ### ###-##", "###############", "############# ##"],
        &[],
        fr_nir,
    ),
    of("cl-rut", 8, &["#.###.###-#"], &["#######-#"], cl_rut),
    of("cl-rut", 9, &["##.###.###-#"], &["########-#"], cl_rut),
    Number {
        kind: Kind::BankAccount,
        sense: Senses::BANK,
        ..of("us-routing", 9, &[], &[], |d| {
            weighted(d, &[3, 7, 1, 3, 7, 1, 3, 7, 1]).is_multiple_of(10) && d[0] < 4
        })
    },
    Number {
        kind: Kind::BankAccount,
        sense: Senses::BANK,
        ..of("uk-sort-code", 6, &[], &["##-##-##", "## ## ##"], |_| true)
    },
];

/// The number that digits are, by their form, their check and the words before them.
pub(crate) fn numbers(walk: &Walk<'_>, digits: &Digits<'_>) -> Option<Judged> {
    let values = digits.values();
    if digits.plus {
        return None;
    }
    let mut best: Option<Judged> = None;
    for row in NUMBERS.iter().filter(|row| row.length == values.len() && walk.wanted.has(row.kind)) {
        let told = walk.told(row.sense, digits.start);
        let alone = row.alone.iter().any(|form| fits(form, digits.text));
        let known =
            alone || (told && (digits.groups == 1 || row.told.iter().any(|form| fits(form, digits.text))));
        // No check digit, and no form: the others go first.
        let bare = row.kind == Kind::Ssn && !alone;
        let score = if alone && told {
            97
        } else if bare {
            75
        } else {
            85
        };
        if known && (row.check)(values) && best.is_none_or(|best| best.score < score) {
            best = Some(Judged { kind: row.kind, label: row.label, score });
        }
    }
    best
}

/// Whether a text has a form: `#` is a digit, all else itself.
pub(crate) fn fits(form: &str, text: &[u8]) -> bool {
    form.len() == text.len()
        && form
            .bytes()
            .zip(text)
            .all(|(form, byte)| if form == b'#' { byte.is_ascii_digit() } else { form == *byte })
}

fn value(digits: &[u8]) -> u64 {
    digits.iter().fold(0, |sum, &digit| sum * 10 + u64::from(digit))
}

fn two(digits: &[u8], place: usize) -> u32 {
    digits.get(place..place + 2).map_or(0, |two| u32::from(two[0]) * 10 + u32::from(two[1]))
}

/// `YYMMDD`; some states add up to `shift` to the day.
fn yymmdd(digits: &[u8], shift: u32) -> bool {
    let day = two(digits, 4);
    date(two(digits, 0), two(digits, 2), if day > shift && shift > 0 { day - shift } else { day })
}

fn ddmmyy(digits: &[u8]) -> bool {
    date(two(digits, 4), two(digits, 2), two(digits, 0))
}

/// The month carries the century: 20 and 40 are added.
fn yymmdd_century(digits: &[u8]) -> bool {
    date(two(digits, 0), two(digits, 2) % 20, two(digits, 4))
}

/// The Social Security Administration's rules since 2011.
fn us_ssn(d: &[u8]) -> bool {
    let area = value(d.get(..3).unwrap_or_default());
    area != 0 && area != 666 && area < 900 && two(d, 3) != 0 && value(d.get(5..).unwrap_or_default()) != 0
}

fn us_itin(d: &[u8]) -> bool {
    d[0] == 9 && matches!(two(d, 3), 50..=65 | 70..=88 | 90..=92 | 94..=99)
}

fn nl_bsn(d: &[u8]) -> bool {
    let sum = weighted(d, &[9, 8, 7, 6, 5, 4, 3, 2]);
    value(d) > 0 && sum % 11 == u32::from(d[8])
}

fn pt_nif(d: &[u8]) -> bool {
    let left = weighted(d, &[9, 8, 7, 6, 5, 4, 3, 2]) % 11;
    matches!(d[0], 1..=3 | 5..=9) && u32::from(d[8]) == if left < 2 { 0 } else { 11 - left }
}

fn pl_pesel(d: &[u8]) -> bool {
    weighted(d, &[1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1]).is_multiple_of(10) && yymmdd_century(d)
}

/// One digit occurs twice or thrice among the first ten.
fn de_tax(d: &[u8]) -> bool {
    let mut counts = [0_u8; 10];
    for digit in d.iter().take(10) {
        if let Some(count) = counts.get_mut(usize::from(*digit)) {
            *count += 1;
        }
    }
    let repeated = counts.iter().filter(|count| **count > 1).count();
    d[0] != 0 && repeated == 1 && counts.iter().all(|count| *count < 4) && mod11_10(d)
}

fn be_nrn(d: &[u8]) -> bool {
    let (body, check) = (value(d.get(..9).unwrap_or_default()), value(d.get(9..).unwrap_or_default()));
    (97 - body % 97 == check || 97 - (2_000_000_000 + body) % 97 == check) && two(d, 2) <= 12
}

fn br_digit(d: &[u8], weights: &[u8]) -> u32 {
    let left = weighted(d, weights) % 11;
    if left < 2 { 0 } else { 11 - left }
}

fn br_cpf(d: &[u8]) -> bool {
    let same = d.iter().all(|digit| *digit == d[0]);
    !same
        && br_digit(d, &[10, 9, 8, 7, 6, 5, 4, 3, 2]) == u32::from(d[9])
        && br_digit(d, &[11, 10, 9, 8, 7, 6, 5, 4, 3, 2]) == u32::from(d[10])
}

fn br_cnpj(d: &[u8]) -> bool {
    br_digit(d, &[5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2]) == u32::from(d[12])
        && br_digit(d, &[6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2]) == u32::from(d[13])
}

fn no_fnr(d: &[u8]) -> bool {
    let day = two(d, 0);
    date(two(d, 4), two(d, 2), if day > 40 { day - 40 } else { day })
        && weighted(d, &[3, 7, 6, 1, 8, 9, 4, 5, 2, 1]).is_multiple_of(11)
        && weighted(d, &[5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1]).is_multiple_of(11)
}

fn tr_tckn(d: &[u8]) -> bool {
    let (mut odd, mut even) = (0, 0);
    for (place, digit) in d.iter().take(9).enumerate() {
        *(if place % 2 == 0 { &mut odd } else { &mut even }) += i32::from(*digit);
    }
    let all: u32 = d.iter().take(10).map(|digit| u32::from(*digit)).sum();
    d[0] != 0 && (odd * 7 - even).rem_euclid(10) == i32::from(d[9]) && all % 10 == u32::from(d[10])
}

fn baltic(d: &[u8]) -> bool {
    let first = weighted(d, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 1]) % 11;
    let check = if first < 10 { first } else { weighted(d, &[3, 4, 5, 6, 7, 8, 9, 1, 2, 3]) % 11 % 10 };
    check == u32::from(d[10]) && yymmdd(d.get(1..).unwrap_or_default(), 0)
}

fn ar_cuit(d: &[u8]) -> bool {
    let left = 11 - weighted(d, &[5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11;
    u32::from(d[10])
        == match left {
            11 => 0,
            10 => 9,
            other => other,
        }
}

fn at_svnr(d: &[u8]) -> bool {
    d[0] != 0 && weighted(d, &[3, 7, 9, 0, 5, 8, 4, 2, 1, 6]) % 11 == u32::from(d[3]) && two(d, 4) <= 31
}

fn cz_rc(d: &[u8]) -> bool {
    let month = two(d, 2) % 50;
    value(d).is_multiple_of(11) && date(two(d, 0), if month > 20 { month - 20 } else { month }, two(d, 4))
}

fn uk_nhs(d: &[u8]) -> bool {
    let left = 11 - weighted(d, &[10, 9, 8, 7, 6, 5, 4, 3, 2]) % 11;
    (if left == 11 { 0 } else { left }) == u32::from(d[9])
}

/// Luhn's digit is over `80840` and the number.
fn us_npi(d: &[u8]) -> bool {
    let mut whole = vec![8, 0, 8, 4, 0];
    whole.extend_from_slice(d);
    matches!(d[0], 1 | 2) && luhn(&whole)
}

fn jp_my_number(d: &[u8]) -> bool {
    let left = weighted(d, &[6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11;
    u32::from(d[11]) == if left < 2 { 0 } else { 11 - left }
}

fn es_nss(d: &[u8]) -> bool {
    let (province, number, check) = (
        u64::from(two(d, 0)),
        value(d.get(2..10).unwrap_or_default()),
        value(d.get(10..).unwrap_or_default()),
    );
    let body = if number < 10_000_000 {
        number + province * 10_000_000
    } else {
        value(d.get(..10).unwrap_or_default())
    };
    body % 97 == check
}

fn ean(d: &[u8]) -> bool {
    weighted(d, &[1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1]).is_multiple_of(10)
}

fn kr_rrn(d: &[u8]) -> bool {
    let check = (11 - weighted(d, &[2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5]) % 11) % 10;
    yymmdd(d, 0) && (1..=8).contains(&d[6]) && check == u32::from(d[12])
}

fn rs_jmbg(d: &[u8]) -> bool {
    let left = 11 - weighted(d, &[7, 6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11;
    (if left > 9 { 0 } else { left }) == u32::from(d[12])
        && two(d, 0) <= 31
        && two(d, 2) <= 12
        && matches!(d[4], 0 | 9)
}

fn th_id(d: &[u8]) -> bool {
    (11 - weighted(d, &[13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2]) % 11) % 10 == u32::from(d[12])
}

/// The insurance number's key is 97 less the rest of the first thirteen digits.
fn fr_nir(d: &[u8]) -> bool {
    let body = value(d.get(..13).unwrap_or_default());
    matches!(d[0], 1..=4 | 7 | 8)
        && matches!(two(d, 3), 1..=12 | 20..=42 | 50..=99)
        && 97 - body % 97 == u64::from(two(d, 13))
}

fn cl_rut(d: &[u8]) -> bool {
    let Some((&check, body)) = d.split_last() else { return false };
    u32::from(check) == rut_digit(body)
}

/// 0 to 10; 10 is written `K`.
pub(crate) fn rut_digit(body: &[u8]) -> u32 {
    let sum: u32 =
        body.iter().rev().zip([2, 3, 4, 5, 6, 7].into_iter().cycle()).map(|(&d, w)| u32::from(d) * w).sum();
    (11 - sum % 11) % 11
}

/// Whether thirteen characters and a key are France's insurance number, Corsica's departments (`2A`, `2B`) too.
pub(crate) fn fr_nir_corsica(text: &[u8]) -> bool {
    if text.len() != 15 {
        return false;
    }
    let mut less = 0;
    let mut digits = [0_u8; 15];
    for (place, (&byte, digit)) in text.iter().zip(&mut digits).enumerate() {
        *digit = match (place, byte) {
            (6, b'A' | b'a') => {
                less = 1_000_000;
                0
            }
            (6, b'B' | b'b') => {
                less = 2_000_000;
                0
            }
            (_, b'0'..=b'9') => byte - b'0',
            _ => return false,
        };
    }
    let body = value(digits.get(..13).unwrap_or_default());
    less > 0 && body > less && 97 - (body - less) % 97 == u64::from(two(&digits, 13))
}
