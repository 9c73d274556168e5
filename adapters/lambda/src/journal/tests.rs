//! A step comes out as it went in, and is small.

use gatelet_core::domain::account::{OutputBound, Reserve, Settle};
use gatelet_core::domain::{HoldId, Money, Rate};
use proptest::prelude::*;

use super::*;

fn accounts() -> Vec<AccountId> {
    [
        "key/7hq2m9c4xd",
        "organisation/acme",
        "project/website",
        "team/search",
        "user/anna@example.com",
        "model/openai/gpt-4o-mini",
    ]
    .map(AccountId::new)
    .into()
}

#[test]
fn a_request_in_five_accounts_takes_less_than_half_a_kilobyte() {
    let hold = HoldId::new("req_01kardz3m4y8b6q0v5w9x2c7n1");
    let reserve = Step {
        at: Timestamp::from_micros(1_795_012_345_678_901),
        accounts: accounts(),
        op: Op::Reserve(Reserve {
            hold: hold.clone(),
            versions: vec![3, 1, 12, 2, 1, 0],
            carried: Vec::new(),
            input_tokens: 4_711,
            input_cost: Money::from_nanos(706_650),
            output: OutputBound { tokens: 16_384, rate: Rate::from_picos(600_000), elastic: true },
            expires: Timestamp::from_micros(1_795_013_245_678_901),
        }),
        notices: Vec::new(),
        entries: Vec::new(),
    };
    let line = r#"{"v":1,"kind":"attempt","id":"req_01kardz3m4y8b6q0v5w9x2c7n1","at":"2026-11-18T17:12:25.679112Z","attempt":1,"target":"openai/gpt-4o-mini","lane":"verbatim","status":200,"outcome":"answered","head_ms":412.031,"total_ms":2210.412}
{"v":1,"kind":"request","id":"req_01kardz3m4y8b6q0v5w9x2c7n1","at":"2026-11-18T17:12:25.678901Z","shard":"acme","key":"7hq2m9c4xd","alias":"search-prod","org":"acme","team":"search","project":"website","user":"anna@example.com","operation":"chat","dialect":"openai","model":"openai/gpt-4o-mini","target":"openai/gpt-4o-mini","stream":true,"outcome":"done","status":200,"attempts":1,"usage":{"input":1203,"cache_read":0,"cache_write_5m":0,"cache_write_1h":0,"cache_write_12h":0,"audio_input":0,"image_input":0,"output":418,"reasoning":0,"audio_output":0,"web_searches":0},"usage_estimated":false,"cost":"0.00043125","total_ms":2211.733,"first_content_ms":431.508}"#;
    let settle = Step {
        at: Timestamp::from_micros(1_795_012_347_890_634),
        accounts: accounts()[..5].to_vec(),
        op: Op::Settle(Settle { hold, tokens: 1_621, output_tokens: 418, cost: Money::from_nanos(431_250) }),
        notices: Vec::new(),
        entries: vec![Entry {
            id: "1795012345678901-req_01kardz3m4y8b6q0v5w9x2c7n1".into(),
            line: line.into(),
            settle: None,
        }],
    };
    let (reserved, settled) = (reserve.pack().unwrap(), settle.pack().unwrap());
    assert_eq!(Step::unpack(&reserved).unwrap(), reserve);
    assert_eq!(Step::unpack(&settled).unwrap(), settle);
    assert!(reserved.len() + settled.len() < 440, "{} and {}", reserved.len(), settled.len());
}

proptest! {
    #[test]
    fn a_step_comes_out_as_it_went_in(line in ".{0,3000}", at in any::<i64>(), names in prop::collection::vec("[a-z]{1,9}/.{0,40}", 0..12)) {
        let step = Step {
            at: Timestamp::from_micros(at),
            accounts: names.into_iter().map(AccountId::new).collect(),
            op: Op::Sweep,
            notices: Vec::new(),
            entries: vec![Entry { id: "1".into(), line: line.as_str().into(), settle: None }],
        };
        prop_assert_eq!(Step::unpack(&step.pack().unwrap()).unwrap(), step);
    }

    #[test]
    fn what_is_no_step_is_said_to_be_none(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _no_panic = Step::unpack(&bytes);
    }
}
