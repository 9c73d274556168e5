//! What a provider itself says that an answer cost.

use gatelet_wire::Fields;

use super::table::StatedCost;
use crate::domain::Money;

impl StatedCost {
    /// The cost that an answer, or one event of a stream, states; none where it states none that makes sense. It is never
    /// below nothing: what a provider gives back is its matter.
    pub fn read(&self, json: &str) -> Option<Money> {
        // Most events of a stream say nothing of it, and need not be read.
        if !json.contains(self.at.rsplit('.').next()?) {
            return None;
        }
        let mut path = self.at.split('.');
        let mut value = Fields::read(json.as_bytes()).ok()?.present(path.next()?)?;
        for key in path {
            value = Fields::of(value, key).ok()?.present(key)?;
        }
        let text = value.get();
        let text = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
        Money::stated(text, self.decimals)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(at: &str, decimals: u32, json: &str) -> Option<u64> {
        StatedCost { at: at.to_owned(), decimals }.read(json).map(Money::nanos)
    }

    #[test]
    fn a_cost_is_found_at_its_path_and_read_from_its_own_digits() {
        assert_eq!(read("usage.cost", 0, r#"{"usage":{"cost":0.00014}}"#), Some(140_000));
        assert_eq!(read("usage.cost", 0, r#"{"usage":{"cost":1.4e-4}}"#), Some(140_000));
        assert_eq!(read("usage.cost", 0, r#"{"usage":{"cost":"0.00014"}}"#), Some(140_000));
        assert_eq!(read("usage.cost", 0, r#"{"usage":{"cost":0}}"#), Some(0));
        assert_eq!(
            read("usage.cost.total_cost", 0, r#"{"usage":{"cost":{"total_cost":0.006}}}"#),
            Some(6_000_000)
        );
        assert_eq!(
            read("usage.cost_in_usd_ticks", 10, r#"{"usage":{"cost_in_usd_ticks":158500}}"#),
            Some(15_850)
        );
        assert_eq!(read("usage.cost_in_usd_ticks", 10, r#"{"usage":{"cost_in_usd_ticks":1}}"#), Some(1));
    }

    #[test]
    fn what_is_missing_negative_or_no_number_is_no_cost() {
        for json in [
            "",
            "[]",
            "cost",
            r#"{"cost":1}"#,
            r#"{"usage":null,"x":"cost"}"#,
            r#"{"usage":{"cost":null}}"#,
            r#"{"usage":{"cost":-0.1}}"#,
            r#"{"usage":{"cost":"free"}}"#,
            r#"{"usage":{"cost":true}}"#,
            r#"{"usage":{"cost":[1]}}"#,
            r#"{"usage":{"cost":1e400}}"#,
        ] {
            assert_eq!(read("usage.cost", 0, json), None, "{json}");
        }
    }
}
