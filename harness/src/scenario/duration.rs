//! Durations as people write them: `250us`, `5ms`, `3s`, `1m`.

use redline_vocab::Micros;

const UNITS: [(&str, u64); 4] = [("us", 1), ("ms", 1_000), ("s", 1_000_000), ("m", 60_000_000)];

/// Reads a duration.
///
/// # Errors
/// What is wrong with it.
pub(super) fn parse(text: &str) -> Result<Micros, String> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let factor = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor);
    match (number.parse::<u64>(), factor) {
        (Ok(number), Some(factor)) => {
            number.checked_mul(factor).map(Micros).ok_or_else(|| format!("`{text}` is too long"))
        }
        _ => Err(format!("`{text}` is no duration; write a number and us, ms, s or m, as in \"250ms\"")),
    }
}

/// Writes a duration in the largest unit that fits.
pub(super) fn format(duration: Micros) -> String {
    let fits = |(_, factor): &&(&str, u64)| duration.0 != 0 && duration.0.is_multiple_of(*factor);
    let (unit, factor) = UNITS.iter().rev().find(fits).unwrap_or(&UNITS[0]);
    format!("{}{unit}", duration.0 / factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_written() {
        for (text, micros) in
            [("250us", 250), ("5ms", 5_000), ("3s", 3_000_000), ("1m", 60_000_000), ("0us", 0)]
        {
            assert_eq!(parse(text), Ok(Micros(micros)));
            assert_eq!(format(Micros(micros)), text);
        }
        for bad in ["", "5", "ms", "-5ms", "5 ms", "5h", "99999999999999999999us", "18446744073709551615m"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
