use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::{Strategy as _, any, prop_assert, prop_assert_eq, proptest};

use super::*;
use crate::domain::{Notice, Notices, ShardId, Stands};

const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

fn candidate() -> Candidate {
    Candidate {
        place: Place::default(),
        cost: None,
        stream: true,
        output: 100,
        vitals: Vitals::default(),
        drawn: 0.0,
        pull: None,
    }
}

fn weighing(weight: u32) -> Candidate {
    Candidate { place: Place { weight, ..Place::default() }, ..candidate() }
}

fn after(seconds: f64) -> Timestamp {
    NOW.after(Duration::from_secs_f64(seconds))
}

fn first(strategy: Strategy, candidates: &[Candidate], rng: &mut Rng) -> usize {
    order(strategy, candidates, &Rules::default(), NOW, rng)[0].candidate
}

fn answered(seconds: f64) -> Ended {
    let total = Duration::from_secs_f64(seconds);
    Ended::Answered { first: Some(total), total, output: 10, tokens: 20 }
}

fn measured(seconds: f64) -> Candidate {
    let mut candidate = candidate();
    for _ in 0..10 {
        candidate.vitals.began(NOW, &Rules::default());
        candidate.vitals.ended(answered(seconds), NOW, &Rules::default());
    }
    candidate
}

fn any_candidate() -> impl proptest::strategy::Strategy<Value = Candidate> {
    (0_u16..3, 1_u32..100, proptest::option::of(0_u64..1_000_000), 0_u32..10, 0.0..2.0_f64, 0_u8..7).prop_map(
        |(level, weight, cost, in_flight, seconds, faults)| {
            let mut seen = measured(seconds);
            seen.place = Place { level, weight, quota: Quota { requests: Some(12), tokens: None } };
            seen.cost = cost.map(Money::from_nanos);
            seen.vitals.in_flight = in_flight;
            for _ in 0..faults {
                seen.vitals.ended(Ended::Failed(Blame::Provider), NOW, &Rules::default());
            }
            seen
        },
    )
}

proptest! {
    #[test]
    fn a_plan_holds_every_candidate_once_and_those_that_are_in_before_all_others_by_their_level(
        candidates in proptest::collection::vec(any_candidate(), 0..12),
        strategy in proptest::sample::select(&Strategy::ALL[..]),
        seed in any::<u64>(),
    ) {
        let steps = order(strategy, &candidates, &Rules::default(), NOW, &mut Rng::with_seed(seed));
        let mut places: Vec<usize> = steps.iter().map(|step| step.candidate).collect();
        let keys: Vec<_> = steps.iter().map(|step| (step.standing.rank(), candidates[step.candidate].place.level)).collect();
        prop_assert!(keys.is_sorted(), "{keys:?}");
        places.sort_unstable();
        prop_assert_eq!(places, (0..candidates.len()).collect::<Vec<_>>());
    }

    #[test]
    fn the_same_seed_gives_the_same_plan(
        candidates in proptest::collection::vec(any_candidate(), 0..12),
        strategy in proptest::sample::select(&Strategy::ALL[..]),
        seed in any::<u64>(),
    ) {
        let plan = || order(strategy, &candidates, &Rules::default(), NOW, &mut Rng::with_seed(seed));
        prop_assert_eq!(plan(), plan());
    }
}

#[test]
fn weights_are_kept_within_one_percent_over_a_hundred_thousand_plans() {
    let candidates = [weighing(3), weighing(1), weighing(6)];
    let mut rng = Rng::with_seed(7);
    let (mut firsts, mut seconds) = ([0_u32; 3], 0_u32);
    for _ in 0..100_000 {
        let steps = order(Strategy::Weighted, &candidates, &Rules::default(), NOW, &mut rng);
        firsts[steps[0].candidate] += 1;
        seconds += u32::from(steps[0].candidate == 2 && steps[1].candidate == 0);
    }
    for (count, share) in firsts.iter().zip([0.3, 0.1, 0.6]) {
        assert!((f64::from(*count) / 100_000.0 - share).abs() < 0.01, "{firsts:?}");
    }
    // Of those that are left, too, each has its weight's share.
    let share = f64::from(seconds) / f64::from(firsts[2]);
    assert!((share - 0.75).abs() < 0.01, "{share}");
}

#[test]
fn in_order_keeps_the_documents_order_and_levels_come_before_any_strategy() {
    let mut candidates = [candidate(), candidate(), candidate()];
    let mut rng = Rng::with_seed(1);
    let places = |candidates: &[Candidate], strategy, rng: &mut Rng| -> Vec<usize> {
        order(strategy, candidates, &Rules::default(), NOW, rng).iter().map(|step| step.candidate).collect()
    };
    assert_eq!(places(&candidates, Strategy::InOrder, &mut rng), [0, 1, 2]);
    candidates[0].place.level = 1;
    for strategy in Strategy::ALL {
        assert_eq!(places(&candidates, strategy, &mut rng)[2], 0, "{}", strategy.name());
    }
}

#[test]
fn the_cheapest_is_asked_first_and_the_unpriced_last() {
    let costs = [None, Some(30), Some(20)].map(|nanos| nanos.map(Money::from_nanos));
    let candidates = costs.map(|cost| Candidate { cost, ..candidate() });
    let steps = order(Strategy::LowestCost, &candidates, &Rules::default(), NOW, &mut Rng::with_seed(1));
    assert_eq!(steps.iter().map(|step| step.candidate).collect::<Vec<_>>(), [2, 1, 0]);
}

#[test]
fn the_slowest_of_three_is_never_first_and_the_fastest_mostly() {
    let candidates = [measured(1.0), measured(0.1), measured(0.5)];
    let mut rng = Rng::with_seed(3);
    let mut firsts = [0; 3];
    for _ in 0..3_000 {
        firsts[first(Strategy::LowestLatency, &candidates, &mut rng)] += 1;
    }
    // Of the three pairs, one has not the fastest in it.
    assert_eq!(firsts[0], 0, "{firsts:?}");
    assert!((1_850..2_150).contains(&firsts[1]), "{firsts:?}");
}

#[test]
fn what_was_not_asked_for_a_while_is_tried_again() {
    let candidates = [measured(1.0), measured(0.2)];
    let mut rng = Rng::with_seed(3);
    assert_eq!(first(Strategy::LowestLatency, &candidates, &mut rng), 1);
    let mut later = candidates;
    let then = after(300.0);
    for _ in 0..3 {
        later[1].vitals.ended(answered(0.2), then, &Rules::default());
    }
    let steps = order(Strategy::LowestLatency, &later, &Rules::default(), then, &mut rng);
    assert_eq!(steps[0].candidate, 0);
}

#[test]
fn the_least_busy_for_its_weight_is_first() {
    let busy = |in_flight, weight| {
        let mut candidate = weighing(weight);
        candidate.vitals.in_flight = in_flight;
        candidate
    };
    let candidates = [busy(3, 1), busy(8, 4), busy(5, 1)];
    for seed in 0..100 {
        assert_eq!(first(Strategy::LeastBusy, &candidates, &mut Rng::with_seed(seed)), 1);
    }
}

#[test]
fn usage_goes_where_the_smallest_part_of_a_quota_is_used_and_a_full_one_comes_last() {
    let used = |requests: u64, most: u64| {
        let mut candidate = candidate();
        candidate.place.quota = Quota { requests: Some(most), tokens: None };
        candidate.vitals.window.add(requests, 0, NOW);
        candidate
    };
    let candidates = [used(50, 100), used(10, 10), used(60, 600)];
    let rules = Rules::default();
    let steps = order(Strategy::Usage, &candidates, &rules, NOW, &mut Rng::with_seed(1));
    assert_eq!(steps.iter().map(|step| step.candidate).collect::<Vec<_>>(), [2, 0, 1]);
    assert_eq!(steps[2].standing, Standing::Full);
    // A minute and a bit later half of it counts still, two minutes later none.
    let share = |seconds| candidates[1].vitals.window.share(candidates[1].place.quota, after(seconds));
    assert!((share(90.0) - 0.5).abs() < 0.51 && share(90.0) < 1.0, "{}", share(90.0));
    assert!(share(121.0) < 1e-9);
}

/// Plays so many requests of a group of two; the second one fails while `bad`, the first is always well. The share of
/// those that the second got.
fn played(arms: &mut Arms, rng: &mut Rng, count: u32, bad: bool, cheaper: bool) -> f64 {
    let names: [Arc<str>; 2] = ["one".into(), "other".into()];
    let mut others = 0;
    for _ in 0..count {
        let candidates: Vec<Candidate> = (0..2)
            .map(|place| Candidate {
                drawn: arms.draw(&names[place], rng),
                cost: Some(Money::from_nanos(if cheaper && place == 1 { 500 } else { 1_000 })),
                ..candidate()
            })
            .collect();
        let chosen = first(Strategy::Adaptive, &candidates, rng);
        others += u32::from(chosen == 1);
        let fails = bad && chosen == 1;
        let outcome = if fails { Outcome::Failed } else { Outcome::Answered { seconds: 0.5 } };
        arms.learn(&names[chosen], outcome);
    }
    f64::from(others) / f64::from(count)
}

#[test]
fn adaptive_leaves_a_target_that_degrades_within_fifty_requests_and_is_back_within_two_hundred() {
    const RUNS: u32 = 200;
    let (mut left, mut back) = (0.0, 0.0);
    for seed in 0..RUNS {
        let (mut arms, mut rng) = (Arms::default(), Rng::with_seed(seed.into()));
        played(&mut arms, &mut rng, 300, false, true);
        let before = played(&mut arms, &mut rng, 100, false, true);
        assert!(before > 0.85, "the cheaper of two equals has {before}");
        played(&mut arms, &mut rng, 50, true, true);
        left += played(&mut arms, &mut rng, 100, true, true);
        played(&mut arms, &mut rng, 200, false, true);
        back += played(&mut arms, &mut rng, 100, false, true);
    }
    let (left, back) = (left / f64::from(RUNS), back / f64::from(RUNS));
    assert!(left < 0.1, "{left} of the requests still went to a target that fails");
    assert!(back > 0.85, "{back} of the requests went to a target that has healed");
}

#[test]
fn adaptive_leaves_a_target_that_becomes_slow() {
    let names: [Arc<str>; 2] = ["one".into(), "other".into()];
    let (mut arms, mut rng) = (Arms::default(), Rng::with_seed(11));
    let mut others = 0;
    for request in 0..400 {
        let drawn = [0, 1].map(|place| arms.draw(&names[place], &mut rng));
        let chosen = usize::from(drawn[1] > drawn[0]);
        let slow = request >= 100 && chosen == 1;
        others += usize::from(request >= 150 && chosen == 1);
        arms.learn(&names[chosen], Outcome::Answered { seconds: if slow { 8.0 } else { 1.0 } });
    }
    assert!(others < 50, "{others} of 250");
}

fn broken(breaker: &mut Breaker, blame: Blame, times: u32, now: Timestamp) {
    for _ in 0..times {
        breaker.ended(Some(blame), now, &Rules::default());
    }
}

#[test]
fn faults_in_a_row_put_a_target_out_one_probe_lets_it_in_and_its_share_grows() {
    let rules = Rules::default();
    let mut breaker = Breaker::default();
    broken(&mut breaker, Blame::Provider, 4, NOW);
    assert_eq!(breaker.standing(NOW, &rules), Standing::In { share: 1.0 });
    broken(&mut breaker, Blame::Network, 1, NOW);
    let until = after(5.0);
    assert_eq!(breaker.standing(NOW, &rules), Standing::Out { until, blame: Blame::Network });
    assert_eq!(breaker.standing(until, &rules), Standing::Probe);
    breaker.began(until, &rules);
    // One probe at a time.
    assert!(matches!(breaker.standing(until, &rules), Standing::Out { .. }));
    breaker.ended(None, after(6.0), &rules);
    let share = |breaker: &Breaker, seconds| match breaker.standing(after(seconds), &rules) {
        Standing::In { share } => share,
        other => panic!("{other:?}"),
    };
    assert!((share(&breaker, 6.0) - 0.1).abs() < 1e-9);
    assert!((share(&breaker, 11.0) - 0.55).abs() < 1e-9);
    breaker.ended(None, after(17.0), &rules);
    assert!((share(&breaker, 17.0) - 1.0).abs() < 1e-9);
}

#[test]
fn a_target_that_fails_its_probes_stays_out_twice_as_long_each_time_up_to_a_bound() {
    let rules = Rules::default();
    let mut breaker = Breaker::default();
    broken(&mut breaker, Blame::Provider, 5, NOW);
    let mut now = NOW;
    let mut pauses = Vec::new();
    for _ in 0..9 {
        let Standing::Out { until, .. } = breaker.standing(now, &rules) else { panic!("it is in") };
        pauses.push(until.since(now).as_secs());
        now = until;
        breaker.began(now, &rules);
        breaker.ended(Some(Blame::Provider), now, &rules);
    }
    assert_eq!(pauses, [5, 10, 20, 40, 80, 160, 300, 300, 300]);
}

#[test]
fn what_is_the_callers_fault_is_not_held_against_the_target() {
    let mut breaker = Breaker::default();
    broken(&mut breaker, Blame::Caller, 100, NOW);
    broken(&mut breaker, Blame::Provider, 4, NOW);
    assert_eq!(breaker.standing(NOW, &Rules::default()), Standing::In { share: 1.0 });
}

#[test]
fn half_of_many_calls_put_a_target_out_though_others_succeed() {
    let rules = Rules::default();
    let mut breaker = Breaker::default();
    for _ in 0..5 {
        breaker.ended(None, NOW, &rules);
        breaker.ended(Some(Blame::Provider), NOW, &rules);
    }
    assert!(matches!(breaker.standing(NOW, &rules), Standing::Out { .. }));
}

#[test]
fn a_rate_limit_puts_a_target_out_until_it_says_so_and_a_wrong_key_for_longer_than_a_fault() {
    let rules = Rules::default();
    let mut breaker = Breaker::default();
    let until = after(12.0);
    broken(&mut breaker, Blame::Limited { until: Some(until) }, 1, NOW);
    assert!(matches!(breaker.standing(NOW, &rules), Standing::Out { until: there, .. } if there == until));
    let mut breaker = Breaker::default();
    broken(&mut breaker, Blame::Credential, 2, NOW);
    assert!(matches!(breaker.standing(after(59.0), &rules), Standing::Out { .. }));
    assert_eq!(breaker.standing(after(60.0), &rules), Standing::Probe);
}

#[test]
fn a_probe_that_nobody_hears_of_is_made_again() {
    let rules = Rules::default();
    let mut breaker = Breaker::default();
    broken(&mut breaker, Blame::Provider, 5, NOW);
    breaker.began(after(5.0), &rules);
    assert!(matches!(breaker.standing(after(34.0), &rules), Standing::Out { .. }));
    assert_eq!(breaker.standing(after(35.0), &rules), Standing::Probe);
}

#[test]
fn what_returns_gets_its_share_of_turns_and_stays_in_the_plan() {
    let rules = Rules::default();
    let mut back = candidate();
    broken(&mut back.vitals.breaker, Blame::Provider, 5, NOW);
    back.vitals.breaker.began(after(5.0), &rules);
    back.vitals.breaker.ended(None, after(5.0), &rules);
    let candidates = [back, candidate()];
    let mut rng = Rng::with_seed(5);
    let firsts = (0..10_000)
        .filter(|_| order(Strategy::InOrder, &candidates, &rules, after(5.0), &mut rng)[0].candidate == 0)
        .count();
    assert!((900..1_100).contains(&firsts), "{firsts}");
}

#[test]
fn clocks_that_go_back_do_no_harm() {
    let rules = Rules::default();
    let mut seen = measured(0.5);
    let earlier = Timestamp::from_seconds(NOW.seconds() - 10_000);
    seen.vitals.began(earlier, &rules);
    seen.vitals.ended(answered(0.4), earlier, &rules);
    assert_eq!(seen.vitals.breaker.standing(earlier, &rules), Standing::In { share: 1.0 });
    assert!(seen.vitals.window.counts(earlier).0 >= 0.0);
    for strategy in Strategy::ALL {
        assert_eq!(order(strategy, &[seen, seen], &rules, earlier, &mut Rng::with_seed(1)).len(), 2);
    }
}

#[test]
fn retries_are_a_fifth_of_the_requests_and_one_a_second_and_ten_at_once() {
    let retried = |requests: u32, apart: Duration| {
        let (mut vitals, mut now, mut retries) = (Vitals::default(), NOW, 0);
        for _ in 0..requests {
            vitals.began(now, &Rules::default());
            // A retry is a request too, and each may be retried.
            while vitals.retries.take(now) {
                retries += 1;
                vitals.began(now, &Rules::default());
            }
            now = now.after(apart);
        }
        retries
    };
    // A fifth of all is a quarter of those that are none; those that are made at once earn as well.
    assert!((255..=265).contains(&retried(1_000, Duration::ZERO)));
    assert_eq!(retried(1, Duration::ZERO), 12);
    assert!((100..=155).contains(&retried(100, Duration::from_millis(900))));
}

/// Two instances that tell each other all that is news.
struct Two {
    boards: [Board; 2],
    kept: Notices,
}

impl Two {
    const SHARD: &str = "s";

    fn new() -> Self {
        Self { boards: Default::default(), kept: Notices::default() }
    }

    /// A call by one of them ends, and what it tells is kept.
    fn ended(&mut self, who: usize, ended: Ended, now: Timestamp) {
        let (shard, target) = (ShardId::new(Self::SHARD), Arc::from("p/m"));
        self.boards[who].began(&target, now);
        self.boards[who].ended(&shard, &target, ended, now);
        self.kept.tell(&self.boards[who].news(&shard), now);
        assert_eq!(self.boards[who].news(&shard), [], "it is told once");
    }

    /// One of them hears what was told, and sees how the target stands.
    fn standing(&self, who: usize, now: Timestamp) -> Standing {
        self.boards[who].hear(&self.kept.heard(now), now);
        let seen = self.boards[who].read();
        seen.target("p/m").breaker.standing(now, &Rules::default())
    }
}

const IN: Standing = Standing::In { share: 1.0 };

#[test]
fn what_one_instance_has_met_the_other_need_not_meet() {
    let mut two = Two::new();
    let until = Some(after(60.0));
    two.ended(0, Ended::Failed(Blame::Limited { until }), NOW);
    assert!(matches!(two.standing(1, NOW), Standing::Out { blame: Blame::Limited { .. }, .. }));
    // Heard again and again it is the same.
    assert_eq!(two.standing(1, after(59.0)), two.standing(0, after(59.0)));
    assert_eq!(two.standing(1, after(60.0)), Standing::Probe);
}

#[test]
fn faults_in_a_row_are_counted_over_instances() {
    let mut two = Two::new();
    for (who, second) in [(0, 0.0), (1, 1.0), (0, 2.0), (1, 3.0), (0, 4.0)] {
        let now = after(second);
        assert_eq!(two.standing(who, now), IN, "at second {second}");
        two.ended(who, Ended::Failed(Blame::Provider), now);
    }
    assert!(matches!(two.standing(0, after(5.0)), Standing::Out { .. }));
    assert!(matches!(two.standing(1, after(5.0)), Standing::Out { .. }));
}

#[test]
fn a_success_in_between_ends_the_row_for_all() {
    let mut two = Two::new();
    for (minute, who) in (0..20).zip([0, 1].into_iter().cycle()) {
        let now = NOW.after(Duration::from_mins(minute));
        assert_eq!(two.standing(who, now), IN);
        two.ended(who, Ended::Failed(Blame::Provider), now);
        two.standing(1 - who, now);
        two.ended(1 - who, answered(0.1), now.after(Duration::from_secs(1)));
    }
}

#[test]
fn who_has_seen_it_answer_since_does_not_believe_that_it_is_out() {
    let mut two = Two::new();
    for _ in 0..5 {
        two.ended(0, Ended::Failed(Blame::Network), NOW);
    }
    two.boards[1].began(&Arc::from("p/m"), NOW);
    two.ended(1, answered(0.1), after(1.0));
    assert_eq!(two.standing(1, after(1.0)), IN);
    assert!(matches!(two.standing(0, after(1.0)), Standing::Out { .. }));
}

#[test]
fn a_probe_that_passes_is_good_news_for_all() {
    let mut two = Two::new();
    for _ in 0..5 {
        two.ended(0, Ended::Failed(Blame::Network), NOW);
    }
    assert!(matches!(two.standing(1, after(1.0)), Standing::Out { .. }));
    two.ended(0, answered(0.1), after(6.0));
    assert!(matches!(two.standing(1, after(7.0)), Standing::In { share } if share < 0.5));
    two.ended(0, answered(0.1), after(20.0));
    assert_eq!(two.standing(1, after(21.0)), IN);
}

#[test]
fn a_clock_that_is_far_ahead_is_not_believed() {
    let two = Two::new();
    let stands = Stands::Out { until: after(7_300.0), blame: Blame::Provider, outs: 1 };
    let notice = Notice { target: "p/m".into(), at: after(7_200.0), faults: 5, stands };
    two.boards[0].hear(&[notice], NOW);
    assert_eq!(two.standing(0, NOW), IN);
}

#[test]
fn what_belongs_together_stays_together_by_weight_and_only_what_a_target_had_moves_when_it_is_out() {
    let mut candidates = [weighing(3), weighing(1), weighing(1)];
    let numbers = |conversation: u64| {
        [7_u64, 11, 13].map(|target| {
            let mut rng = Rng::with_seed(conversation.wrapping_mul(1_000_003).wrapping_add(target));
            rng.u64(..)
        })
    };
    let mut rng = Rng::with_seed(1);
    let mut chosen = |candidates: &mut [Candidate; 3], conversation: u64| {
        for (candidate, number) in candidates.iter_mut().zip(numbers(conversation)) {
            candidate.pull = Some(number);
        }
        first(Strategy::Weighted, candidates, &mut rng)
    };
    let homes: Vec<usize> = (0..10_000).map(|one| chosen(&mut candidates, one)).collect();
    let counts = [0, 1, 2].map(|target| homes.iter().filter(|home| **home == target).count());
    assert!((5_800..6_200).contains(&counts[0]) && (1_800..2_200).contains(&counts[1]), "{counts:?}");
    for _ in 0..5 {
        candidates[0].vitals.ended(Ended::Failed(Blame::Provider), NOW, &Rules::default());
    }
    for (one, home) in homes.iter().enumerate() {
        let now = chosen(&mut candidates, one as u64);
        assert!(now != 0 && (*home == 0 || now == *home), "{one}: {home} -> {now}");
    }
}

#[test]
fn a_clock_that_jumps_ahead_and_is_put_back_keeps_no_target_out_and_no_quota_used_up() {
    let rules = Rules::default();
    let day = Duration::from_hours(24);
    let mut seen = Vitals::default();
    let ahead = NOW.after(day);
    for _ in 0..5 {
        seen.began(ahead, &rules);
        seen.ended(Ended::Failed(Blame::Provider), ahead, &rules);
    }
    assert!(matches!(seen.breaker.standing(ahead, &rules), Standing::Out { .. }));
    assert_eq!(seen.breaker.standing(NOW, &rules), Standing::Probe, "an hour before it went out");
    let quota = Quota { requests: Some(5), tokens: None };
    assert!(seen.window.share(quota, ahead) >= 1.0 && seen.window.share(quota, NOW) == 0.0);
    // Its probe begins ahead, or its return does.
    let probed = ahead.after(rules.longest);
    seen.began(probed, &rules);
    assert!(matches!(seen.breaker.standing(probed, &rules), Standing::Out { .. }));
    assert_eq!(seen.breaker.standing(NOW, &rules), Standing::Probe);
    seen.ended(answered(1.0), probed, &rules);
    assert!(matches!(seen.breaker.standing(probed, &rules), Standing::In { share } if share < 1.0));
    assert_eq!(seen.breaker.standing(NOW, &rules), Standing::In { share: 1.0 });
    seen.began(NOW, &rules);
    assert!((seen.window.share(quota, NOW) - 0.2).abs() < 1e-9, "what is counted now counts");
}
