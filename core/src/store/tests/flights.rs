use super::*;

#[test]
fn one_asks_the_others_wait_and_all_get_the_answer() {
    let mut store = store();
    let leader = lead(&mut store, key(1), 0);
    let first = wait(&mut store, key(1), 1, 1);
    let second = wait(&mut store, key(1), 2, 2);
    let other = lead(&mut store, key(2), 2);
    assert_eq!(store.leave(other, at(3)), None);
    let landed = store.land(leader, token("t"), Some(fresh()), at(50));
    assert_eq!(landed.wake, [1, 2]);
    assert_eq!(flights(&store), (0, 1, 2));
    let answer = || Got::Landed(Seen::token("t"), false);
    assert_eq!(collect(&mut store, second, 51).0, answer());
    assert_eq!(flights(&store), (0, 1, 1));
    assert_eq!(collect(&mut store, first, 500).0, answer());
    assert_eq!(flights(&store), (0, 0, 0));
}

#[test]
fn an_answer_without_life_is_for_those_who_wait_alone() {
    let mut store = store();
    let leader = lead(&mut store, key(1), 0);
    let waiting = wait(&mut store, key(1), 1, 1);
    let landed = store.land(leader, token("t"), None, at(5));
    assert_eq!((landed.wake.as_slice(), landed.entries), (&[1][..], 0));
    let next = lead(&mut store, key(1), 6);
    assert_eq!(collect(&mut store, waiting, 6).0, Got::Landed(Seen::token("t"), false));
    assert_eq!(flights(&store), (1, 0, 0));
    assert_eq!(store.leave(next, at(7)), None);
    assert_eq!(flights(&store), (0, 0, 0));
}

#[test]
fn as_many_wait_as_may() {
    let mut store = spec(8, 8_000, 2).shard();
    let leader = lead(&mut store, key(1), 0);
    let first = wait(&mut store, key(1), 0, 1);
    let _second = wait(&mut store, key(1), 0, 2);
    let never = || -> usize { panic!("a waker for nothing") };
    assert!(matches!(store.ask(key(1), at(1), at(9), never), Asked::Full));
    assert_eq!(store.leave(first, at(1)), None);
    let _third = wait(&mut store, key(1), 1, 3);
    assert_eq!(store.land(leader, Verdict::Unusable, None, at(2)).wake, [2, 3]);
    let mut none: Store = spec(8, 8_000, 0).shard();
    let _leader = lead(&mut none, key(1), 0);
    assert!(matches!(none.ask(key(1), at(1), at(9), never), Asked::Full));
}

#[test]
fn the_time_to_ask_anew_comes_once_and_hits_go_on() {
    let mut store = store();
    put(&mut store, key(1), 0, token("old"), life(800, 1_000, 2_000));
    let Asked::Known { refresh: Some(errand), .. } = ask(&mut store, key(1), 900, 0) else {
        panic!("nothing to refresh");
    };
    assert_eq!(known(&mut store, key(1), 950), Some((Seen::token("old"), false)));
    let waiting = wait(&mut store, key(1), 1_000, 1);
    let landed = store.land(errand, token("new"), Some(life(1_800, 2_000, 2_000)), at(1_001));
    assert_eq!(landed.wake, [1]);
    assert_eq!(collect(&mut store, waiting, 1_001).0, Got::Landed(Seen::token("new"), false));
    assert_eq!(known(&mut store, key(1), 1_001), Some((Seen::token("new"), false)));
}

#[test]
fn asking_anew_in_vain_harms_nothing_and_is_not_repeated_at_once() {
    for vain in [Verdict::Unavailable, Verdict::Unusable, refusal(429)] {
        let mut store = store();
        put(&mut store, key(1), 0, token("t"), life(100, 5_000, 9_000));
        let Asked::Known { refresh: Some(errand), .. } = ask(&mut store, key(1), 100, 0) else {
            panic!("nothing to refresh");
        };
        assert_eq!(store.land(errand, vain, None, at(200)).entries, 0);
        assert_eq!(known(&mut store, key(1), 1_199), Some((Seen::token("t"), false)));
        assert_eq!(known(&mut store, key(1), 1_200), Some((Seen::token("t"), true)));
    }
}

#[test]
fn who_joined_an_errand_that_fails_gets_the_old_token_while_there_is_one() {
    for (stale_until, expected) in [
        (2_000, Got::Landed(Seen::token("t"), true)),
        (1_000, Got::Landed(Seen::Unavailable, false)),
    ] {
        let mut store = store();
        put(&mut store, key(1), 0, token("t"), life(100, 1_000, stale_until));
        let Asked::Known { refresh: Some(errand), .. } = ask(&mut store, key(1), 990, 0) else {
            panic!("nothing to refresh");
        };
        let waiting = wait(&mut store, key(1), 1_000, 1);
        assert_eq!(store.land(errand, Verdict::Unavailable, None, at(1_090)).wake, [1]);
        assert_eq!(collect(&mut store, waiting, 1_090).0, expected);
        assert_eq!(flights(&store), (0, 0, 0));
    }
}

#[test]
fn who_waits_longest_leads_next_with_its_own_time() {
    let mut store = store();
    let leader = lead(&mut store, key(1), 0);
    let first = wait(&mut store, key(1), 10, 1);
    let second = wait(&mut store, key(1), 20, 2);
    let third = wait(&mut store, key(1), 30, 3);
    assert_eq!(store.leave(leader, at(40)), Some(1));
    assert_eq!(store.leave(first, at(41)), Some(2));
    let (got, second) = collect(&mut store, second, 50);
    assert_eq!(got, Got::Lead(70));
    let second = second.unwrap();
    let (got, third) = collect(&mut store, third, 50);
    assert_eq!(got, Got::Wait);
    let landed = store.land(second, token("t"), None, at(60));
    assert_eq!(landed.wake, [3]);
    let got = collect(&mut store, third.unwrap(), 60).0;
    assert_eq!(got, Got::Landed(Seen::token("t"), false));
    assert_eq!(flights(&store), (0, 0, 0));
}

#[test]
fn who_is_to_lead_too_late_wakes_the_next() {
    let mut store = store();
    let leader = lead(&mut store, key(1), 0);
    let first = wait(&mut store, key(1), 10, 1);
    let second = wait(&mut store, key(1), 20, 2);
    let third = wait(&mut store, key(1), 21, 3);
    assert_eq!(store.leave(leader, at(90)), Some(1));
    assert_eq!(collect(&mut store, first, 110).0, Got::Late(Some(2)));
    let (got, second) = collect(&mut store, second, 119);
    assert_eq!(got, Got::Lead(1));
    assert_eq!(store.leave(second.unwrap(), at(121)), Some(3));
    assert_eq!(collect(&mut store, third, 121).0, Got::Late(None));
    assert_eq!(flights(&store), (0, 0, 0));
}

#[test]
fn who_leads_and_is_woken_for_nothing_goes_on_leading() {
    let mut store = store();
    let leader = lead(&mut store, key(1), 0);
    let (got, leader) = collect(&mut store, leader, 10);
    assert_eq!(got, Got::Wait);
    let waiting = wait(&mut store, key(1), 20, 1);
    assert_eq!(store.leave(leader.unwrap(), at(30)), Some(1));
    let (_, promoted) = collect(&mut store, waiting, 30);
    let (got, promoted) = collect(&mut store, promoted.unwrap(), 500);
    assert_eq!(got, Got::Wait);
    assert_eq!(store.leave(promoted.unwrap(), at(500)), None);
    assert_eq!(flights(&store), (0, 0, 0));
}

#[test]
fn who_is_woken_for_nothing_when_its_time_is_up_is_late() {
    let mut store = store();
    let leader = lead(&mut store, key(1), 0);
    let waiting = wait(&mut store, key(1), 0, 1);
    assert_eq!(collect(&mut store, waiting, 100).0, Got::Late(None));
    assert!(store.land(leader, token("t"), None, at(101)).wake.is_empty());
    assert_eq!(flights(&store), (0, 0, 0));
}

/// A flight led by request 1, promoted at 50 with a deadline of 110; 2 has until 105, for its clock
/// was behind, 3 and 4 until 130 and 140.
fn promoted() -> (Store, Ticket, [Ticket; 3]) {
    let mut store = store();
    let leader = lead(&mut store, key(1), 0);
    let first = wait(&mut store, key(1), 10, 1);
    let rest = [(5, 2), (30, 3), (40, 4)].map(|(ms, n)| wait(&mut store, key(1), ms, n));
    assert_eq!(store.leave(leader, at(50)), Some(1));
    let (got, first) = collect(&mut store, first, 50);
    assert_eq!(got, Got::Lead(60));
    (store, first.unwrap(), rest)
}

#[test]
fn a_promoted_leader_that_runs_out_of_time_ends_nobody_elses() {
    let (mut store, first, [second, third, fourth]) = promoted();
    let landed = store.land(first, Verdict::Unavailable, None, at(110));
    assert_eq!(Seen::of(&landed.verdict), Seen::Unavailable);
    assert_eq!(landed.wake, [2, 3]);
    let (got, third) = collect(&mut store, third, 111);
    assert_eq!(got, Got::Lead(19));
    assert_eq!(collect(&mut store, second, 112).0, Got::Late(None));
    let landed = store.land(third.unwrap(), token("t"), None, at(125));
    assert_eq!(landed.wake, [4]);
    assert_eq!(collect(&mut store, fourth, 126).0, Got::Landed(Seen::token("t"), false));
    assert_eq!(flights(&store), (0, 0, 0));
}

#[test]
fn who_ran_out_of_time_gets_nothing_of_a_later_answer_and_takes_nobodys() {
    let (mut store, first, [second, third, fourth]) = promoted();
    assert_eq!(store.land(first, Verdict::Unavailable, None, at(110)).wake, [2, 3]);
    let (_, third) = collect(&mut store, third, 111);
    assert_eq!(store.land(third.unwrap(), token("t"), None, at(112)).wake, [4]);
    assert_eq!(collect(&mut store, second, 113).0, Got::Late(None));
    assert_eq!(collect(&mut store, fourth, 113).0, Got::Landed(Seen::token("t"), false));
    assert_eq!(flights(&store), (0, 0, 0));
}

#[test]
fn a_promoted_leader_that_fails_in_time_or_among_the_late_fails_for_all() {
    for (ms, verdict) in
        [(109, Verdict::Unavailable), (140, Verdict::Unavailable), (110, Verdict::Unusable)]
    {
        let (mut store, first, rest) = promoted();
        assert_eq!(store.land(first, verdict.clone(), None, at(ms)).wake, [2, 3, 4]);
        for ticket in rest {
            let got = collect(&mut store, ticket, ms).0;
            assert_eq!(got, Got::Landed(Seen::of(&verdict), false));
        }
        assert_eq!(flights(&store), (0, 0, 0));
    }
}

#[test]
fn a_promoted_leader_that_runs_out_of_time_has_an_old_token_for_all() {
    let mut store = store();
    put(&mut store, key(1), 0, token("t"), life(0, 1, 1_000));
    let leader = lead(&mut store, key(1), 1);
    let first = wait(&mut store, key(1), 10, 1);
    let second = wait(&mut store, key(1), 20, 2);
    assert_eq!(store.leave(leader, at(50)), Some(1));
    let (_, first) = collect(&mut store, first, 50);
    let landed = store.land(first.unwrap(), Verdict::Unavailable, None, at(110));
    assert_eq!((landed.wake.as_slice(), landed.stale), (&[2][..], true));
    assert_eq!(collect(&mut store, second, 110).0, Got::Landed(Seen::token("t"), true));
}

#[test]
fn a_flight_whose_leader_is_lost_goes_to_the_next_who_asks() {
    let mut store = store();
    let lost = lead(&mut store, key(1), 0);
    let waiting = wait(&mut store, key(1), 10, 1);
    assert!(matches!(ask(&mut store, key(1), 1_100, 2), Asked::Wait(_)));
    let taker = lead(&mut store, key(1), 1_101);
    assert_eq!(flights(&store), (1, 0, 2));
    let landed = store.land(lost, Verdict::Unavailable, None, at(1_102));
    assert_eq!(Seen::of(&landed.verdict), Seen::Unavailable);
    assert!(landed.wake.is_empty());
    assert_eq!(store.land(taker, token("t"), Some(fresh()), at(1_103)).wake, [1, 2]);
    assert_eq!(collect(&mut store, waiting, 1_103).0, Got::Landed(Seen::token("t"), false));
}

#[test]
fn an_errand_that_is_lost_is_run_again() {
    let mut store = store();
    put(&mut store, key(1), 0, token("t"), life(100, 5_000, 5_000));
    let Asked::Known { refresh: Some(_lost), .. } = ask(&mut store, key(1), 100, 0) else {
        panic!("nothing to refresh");
    };
    assert_eq!(known(&mut store, key(1), 1_200), Some((Seen::token("t"), false)));
    assert_eq!(known(&mut store, key(1), 1_201), Some((Seen::token("t"), true)));
    assert_eq!(flights(&store), (0, 0, 0));
}

#[test]
fn a_lost_leader_that_goes_after_all_changes_nothing() {
    let mut store = store();
    let lost = lead(&mut store, key(1), 0);
    let waiting = wait(&mut store, key(1), 10, 1);
    let taker = lead(&mut store, key(1), 1_101);
    assert_eq!(store.leave(lost, at(1_102)), None);
    assert_eq!(store.leave(taker, at(1_103)), Some(1));
    assert_eq!(collect(&mut store, waiting, 1_104).0, Got::Late(None));
    assert_eq!(flights(&store), (0, 0, 0));
}

#[test]
fn one_that_was_to_lead_and_did_not_come_in_time_is_late() {
    let mut store = store();
    let leader = lead(&mut store, key(1), 0);
    let slow = wait(&mut store, key(1), 10, 1);
    assert_eq!(store.leave(leader, at(50)), Some(1));
    let taker = lead(&mut store, key(1), 1_111);
    assert_eq!(collect(&mut store, slow, 1_112).0, Got::Late(None));
    assert!(leads(&store, &taker));
}

#[test]
fn a_late_token_is_stored_where_nothing_fresh_is_known() {
    let mut store = store();
    let lost = lead(&mut store, key(1), 0);
    let also_lost = lead(&mut store, key(1), 1_101);
    let taker = lead(&mut store, key(1), 2_202);
    let refused = store.land(lost, refusal(401), Some(fresh()), at(2_203));
    assert_eq!((Seen::of(&refused.verdict), refused.entries), (Seen::Refusal(401), 0));
    let landed = store.land(also_lost, token("late"), Some(fresh()), at(2_204));
    assert_eq!((landed.entries, landed.wake.len()), (1, 0));
    assert_eq!(known(&mut store, key(1), 2_205), Some((Seen::token("late"), false)));
    store.land(taker, token("new"), Some(fresh()), at(2_206));
    assert_eq!(known(&mut store, key(1), 2_207), Some((Seen::token("new"), false)));
}

#[test]
fn a_late_token_does_not_take_the_place_of_a_fresh_answer() {
    for fresher in [token("new"), refusal(401)] {
        let mut store = store();
        let lost = lead(&mut store, key(1), 0);
        let taker = lead(&mut store, key(1), 1_101);
        store.land(taker, fresher.clone(), Some(fresh()), at(1_102));
        store.land(lost, token("late"), Some(fresh()), at(1_103));
        assert_eq!(known(&mut store, key(1), 1_104), Some((Seen::of(&fresher), false)));
    }
}

#[test]
fn what_nobody_comes_for_does_not_pile_up() {
    let mut store = store();
    for round in 0..if cfg!(miri) { 90 } else { 1_000 } {
        let ms = u64::try_from(round).unwrap() * 1_000;
        let leader = lead(&mut store, key(round * 2), ms);
        let _never_comes = wait(&mut store, key(round * 2), ms, 1);
        store.land(leader, token("t"), None, at(ms + 1));
        let _lost = lead(&mut store, key(round * 2 + 1), ms);
        // A sweep gets round all of them, a hundred at most, in less than twenty seconds: there are
        // those of that time, and the results of a minute more.
        let (under_way, landed, waiting) = flights(&store);
        assert!(under_way <= 20, "{round}: {under_way}");
        assert!(landed <= 80, "{round}: {landed}");
        assert_eq!(waiting, landed);
    }
}

#[test]
fn those_who_wait_for_a_lost_leader_are_woken_by_what_lands_elsewhere() {
    let mut store = store();
    let _lost = lead(&mut store, key(1), 0);
    let first = wait(&mut store, key(1), 0, 1);
    let second = wait(&mut store, key(1), 0, 2);
    let elsewhere = lead(&mut store, key(2), 1_101);
    assert_eq!(store.land(elsewhere, token("t"), None, at(1_102)).wake, [1]);
    assert_eq!(collect(&mut store, first, 1_103).0, Got::Late(Some(2)));
    assert_eq!(collect(&mut store, second, 1_103).0, Got::Late(None));
    assert_eq!(flights(&store), (0, 0, 0));
}

#[test]
fn a_result_that_was_swept_is_late() {
    let mut store = store();
    let leader = lead(&mut store, key(1), 0);
    let waiting = wait(&mut store, key(1), 0, 1);
    store.land(leader, token("t"), None, at(1));
    let other = lead(&mut store, key(2), 60_002);
    assert_eq!(collect(&mut store, waiting, 60_002).0, Got::Late(None));
    assert_eq!(store.leave(other, at(60_003)), None);
    assert_eq!(flights(&store), (0, 0, 0));
}

#[test]
fn after_a_panic_the_first_who_comes_leads_and_the_others_wait_on() {
    let mut store = store();
    let _in_doubt = lead(&mut store, key(1), 0);
    let first = wait(&mut store, key(1), 10, 1);
    let second = wait(&mut store, key(1), 20, 2);
    assert_eq!(store.disband(), [1, 2]);
    assert_eq!(store.disband(), [0; 0], "they are on their way");
    assert_eq!(flights(&store), (1, 0, 2));
    // In whichever order they come, each with its own time.
    let (got, second) = collect(&mut store, second, 50);
    assert_eq!(got, Got::Lead(70));
    let (got, first) = collect(&mut store, first, 51);
    assert_eq!(got, Got::Wait);
    let landed = store.land(second.unwrap(), token("t"), None, at(60));
    assert_eq!(landed.wake, [AGAIN]);
    let got = collect(&mut store, first.unwrap(), 61).0;
    assert_eq!(got, Got::Landed(Seen::token("t"), false));
    assert_eq!(flights(&store), (0, 0, 0));
}

#[test]
fn after_a_panic_nobody_waits_for_one_who_never_comes() {
    let mut store = store();
    let _in_doubt = lead(&mut store, key(1), 0);
    let _never_comes = wait(&mut store, key(1), 10, 1);
    let second = wait(&mut store, key(1), 20, 2);
    let third = wait(&mut store, key(1), 30, 3);
    store.disband();
    let (_, second) = collect(&mut store, second, 40);
    let (_, third) = collect(&mut store, third, 41);
    assert_eq!(store.leave(second.unwrap(), at(50)), Some(AGAIN), "the third, not the first");
    let (got, third) = collect(&mut store, third.unwrap(), 60);
    assert_eq!(got, Got::Lead(70));
    assert_eq!(store.leave(third.unwrap(), at(70)), None);
    // The next one who asks leads, and so does what is left of the flight go.
    let next = lead(&mut store, key(1), 71);
    assert!(store.land(next, Verdict::Unusable, None, at(72)).wake.is_empty());
    assert_eq!(flights(&store), (0, 1, 1));
}

#[test]
fn after_a_panic_one_that_was_to_lead_still_may() {
    for other_comes_first in [false, true] {
        let mut store = store();
        let leader = lead(&mut store, key(1), 0);
        let first = wait(&mut store, key(1), 10, 1);
        let second = wait(&mut store, key(1), 20, 2);
        assert_eq!(store.leave(leader, at(30)), Some(1));
        assert_eq!(store.disband(), [2]);
        let (sooner, later) = if other_comes_first { (second, first) } else { (first, second) };
        let left = if other_comes_first { 80 } else { 70 };
        let (got, sooner) = collect(&mut store, sooner, 40);
        assert_eq!(got, Got::Lead(left));
        let (got, later) = collect(&mut store, later, 41);
        assert_eq!(got, Got::Wait);
        assert_eq!(store.land(sooner.unwrap(), token("t"), None, at(50)).wake, [AGAIN]);
        let got = collect(&mut store, later.unwrap(), 51).0;
        assert_eq!(got, Got::Landed(Seen::token("t"), false));
        assert_eq!(flights(&store), (0, 0, 0));
    }
}

#[test]
fn after_a_panic_a_leader_that_lives_has_its_answer_for_itself() {
    let mut store = store();
    let alone = lead(&mut store, key(1), 0);
    let leader = lead(&mut store, key(2), 0);
    let waiting = wait(&mut store, key(2), 10, 1);
    assert_eq!(store.disband(), [1]);
    assert_eq!(flights(&store), (1, 0, 1), "nobody waits for the other");
    let landed = store.land(alone, token("mine"), Some(fresh()), at(20));
    assert_eq!((Seen::of(&landed.verdict), landed.wake.len()), (Seen::token("mine"), 0));
    assert_eq!(known(&mut store, key(1), 21), Some((Seen::token("mine"), false)));
    let landed = store.land(leader, Verdict::Unavailable, None, at(22));
    assert_eq!((Seen::of(&landed.verdict), landed.wake.len()), (Seen::Unavailable, 0));
    let (got, waiting) = collect(&mut store, waiting, 23);
    assert_eq!(got, Got::Lead(87));
    assert_eq!(store.leave(waiting.unwrap(), at(24)), None);
    assert_eq!(flights(&store), (0, 0, 0));
}

#[test]
fn after_a_panic_an_answer_that_has_landed_is_there_still() {
    let mut store = store();
    let leader = lead(&mut store, key(1), 0);
    let waiting = wait(&mut store, key(1), 10, 1);
    assert_eq!(store.land(leader, token("t"), None, at(20)).wake, [1]);
    assert_eq!(store.disband(), [0; 0]);
    assert_eq!(collect(&mut store, waiting, 30).0, Got::Landed(Seen::token("t"), false));
}

#[test]
fn after_a_panic_who_asks_leads_and_who_comes_too_late_is_late() {
    let mut store = store();
    let _in_doubt = lead(&mut store, key(1), 0);
    let first = wait(&mut store, key(1), 10, 1);
    let second = wait(&mut store, key(1), 20, 2);
    store.disband();
    let asks = lead(&mut store, key(1), 30);
    assert_eq!(collect(&mut store, first, 110).0, Got::Late(None));
    assert_eq!(store.land(asks, token("t"), None, at(111)).wake, [0; 0], "it is on its way");
    assert_eq!(collect(&mut store, second, 111).0, Got::Landed(Seen::token("t"), false));
    assert_eq!(flights(&store), (0, 0, 0));
}

#[test]
fn after_a_panic_what_nobody_comes_for_does_not_pile_up() {
    let mut store = store();
    let _in_doubt = lead(&mut store, key(1), 0);
    let never_comes = wait(&mut store, key(1), 10, 1);
    store.disband();
    let other = lead(&mut store, key(2), 1_110);
    assert_eq!(store.leave(other, at(1_110)), None);
    assert_eq!(flights(&store), (1, 0, 1));
    let other = lead(&mut store, key(2), 1_111);
    assert_eq!(store.leave(other, at(1_111)), None);
    assert_eq!(flights(&store), (0, 0, 0));
    assert_eq!(collect(&mut store, never_comes, 1_112).0, Got::Late(None));
}
