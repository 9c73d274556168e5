use super::*;

fn values(text: &str) -> Vec<u8> {
    text.bytes().map(|byte| byte - b'0').collect()
}

#[test]
fn published_examples_hold_and_a_changed_digit_does_not() {
    assert!(luhn(&values("4111111111111111")) && !luhn(&values("4111111111111112")));
    assert!(iban(b"GB82WEST12345698765432") && !iban(b"GB82WEST12345698765433"));
    assert!(mod11_10(&values("86095742719")) && !mod11_10(&values("86095742718")));
    assert!(verhoeff(&values("2363")) && !verhoeff(&values("2364")));
    assert_eq!(base58check(b"1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", false), Some(0));
    assert_eq!(base58check(b"1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb", false), None);
    assert_eq!(base58check(b"rHb9CJAWyB4rj91VRWn96DkukG4bwdtyTh", true), Some(0));
    assert!(bech32(b"bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"));
    assert!(bech32(b"bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0"));
    assert!(!bech32(b"bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5"));
}

#[test]
fn entropy_counts_bits_a_byte() {
    assert_eq!(entropy(b"aaaa"), 0);
    assert_eq!(entropy(b"abcd"), 200);
    assert_eq!(entropy(b""), 0);
}
