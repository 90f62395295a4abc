use super::{Verdict, all, text};
use crate::bench::report::sample;
use crate::bench::results::Results;
use crate::bench::subject::Subject;

fn verdict(results: &Results, words: &[&str]) -> Verdict {
    let bounds = all(results);
    let bound = bounds.iter().find(|bound| words.iter().all(|word| bound.what.contains(word)));
    bound.unwrap_or_else(|| panic!("no bound on {words:?} in {bounds:#?}")).verdict
}

#[test]
fn what_is_met_is_said_to_be() {
    let results = sample::results();
    let met = Verdict::Met;
    for (words, expected) in [
        (["libpintle.so", "6,731"], met),
        (["pintle-headers.wasm", "25,769"], met),
        (["`pintle.wasm`", "2 x 1,450 instructions"], met),
        (["libpintle.so", "at most 1.30 x the reference job"], met),
        (["libpintle.so", "5,000 instructions more"], met),
        (["pintle.wasm", "at most 1.30 x the reference job"], Verdict::NotMeasured),
        (["pintle-headers.wasm", "below Lua's 26,142"], met),
        (["pintle-headers.wasm", "below the Go SDK's 38,344"], met),
        (["`libpintle.so`", "below those of `basic_auth` + `header_mutation`"], met),
        (["pintle.wasm", "beside those of `basic_auth`"], Verdict::NoBound),
        (["libpintle.so", "beside those of `rbac`"], Verdict::NoBound),
        (["libpintle.so", "flat within 5 % from 1 to 1,000"], met),
        (["instruction counts", "repeat within 1 %"], met),
        (["core", "no heap allocation"], met),
        (["core", "at most 19.0 heap allocations"], met),
        (["libpintle.so", "resident set"], met),
        (["pintle.wasm", "resident set"], Verdict::NotMeasured),
    ] {
        assert_eq!(verdict(&results, &words), expected, "{words:?}");
    }
    let text = text(&results);
    for part in [
        "| 23,000 (Lua in this run: not measured) |",
        "| 0.709 x (6,100 against 8,600), CPU time 0.957 x (0.957 to 0.957) |",
        "| 0.05 % at most: Basic auth by rules, rules: 1: idle module |",
        "| 510 KiB over 800,000 requests (no filter: 500 KiB) |",
        "idle module 3,828 (3,828 then, one in C).",
        "In this run `libpintle.so` never costs more instructions than the one filter.",
    ] {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
}

#[test]
fn what_is_missed_is_said_to_be() {
    let mut results = sample::results();
    for of in &mut results.instructions {
        if of.place.subject == Subject::Native {
            let more = match of.place.scenario.as_str() {
                "token-exchange-warm" => 3_000,
                "token-exchange-warm-1k" => 6_000,
                _ => 0,
            };
            let size = f64::from(of.place.size.unwrap_or(1_000) + more);
            of.samples.iter_mut().for_each(|sample| *sample += 30.0 * size);
        }
    }
    results.micro[0].allocations = 1.0;
    results.micro[1].allocations = 20.0;
    for of in &mut results.instructions {
        if of.place.scenario == "reference" && of.place.subject == Subject::Wasm {
            of.samples.iter_mut().for_each(|sample| *sample += 60_000.0);
        }
    }
    for of in &mut results.soak {
        if of.place.subject == Subject::Native {
            of.points[2].resident_bytes += 2 << 20;
        }
    }
    for words in [
        ["libpintle.so", "the reference job"],
        ["libpintle.so", "instructions more"],
        ["libpintle.so", "6,731"],
        ["libpintle.so", "below those of `basic_auth`"],
        ["libpintle.so", "flat"],
        ["`pintle.wasm`", "2 x 1,450 instructions"],
        ["core", "no heap allocation"],
        ["core", "heap allocations for an error's"],
        ["libpintle.so", "resident set"],
    ] {
        assert_eq!(verdict(&results, &words), Verdict::Missed, "{words:?}");
    }
    let text = text(&results);
    assert!(text.contains("| **no** |"), "{text}");
    let dearer = "costs more instructions than the one filter in: Basic auth by rules.";
    assert!(text.contains(dearer), "{text}");
}

#[test]
fn counts_that_do_not_repeat_are_named() {
    let mut results = sample::results();
    let of = results.instructions.iter_mut();
    let wasm = of.rev().find(|of| of.place.subject == Subject::Wasm).unwrap();
    wasm.samples[2] += 3_000.0;
    assert_eq!(verdict(&results, &["repeat within"]), Verdict::Missed);
    let text = text(&results);
    let cell = "1.24 % at most: Basic auth by rules, rules: 1,000: pintle.wasm";
    assert!(text.contains(cell), "{text}");
}

#[test]
fn lua_of_this_run_counts() {
    let mut results = sample::results();
    let mut of = results.instructions.iter();
    let mut lua = of.find(|of| of.place.subject == Subject::Envoy).unwrap().clone();
    lua.place.subject = Subject::Lua;
    results.instructions.push(lua);
    assert_eq!(verdict(&results, &["below Lua's 8,600 in this run"]), Verdict::Missed);
    let text = text(&results);
    assert!(text.contains("23,000 (Lua in the earlier measurement: 26,142)"), "{text}");
}

#[test]
fn more_cpu_time_is_said_in_words() {
    let mut results = sample::results();
    for of in &mut results.throughput {
        if of.place.subject == Subject::Native {
            of.rounds.iter_mut().for_each(|round| round.cpu_seconds *= 1.15);
        }
    }
    let text = text(&results);
    assert!(text.contains("CPU time 1.10 x (1.10 to 1.10): not below |"), "{text}");
}

#[test]
fn some_sizes_or_fewer_requests_are_not_judged() {
    let mut results = sample::results();
    results.scenarios[1].sizes.push(10_000);
    results.instructions.iter_mut().for_each(|of| of.copies = of.copies.min(1));
    for of in &mut results.soak {
        of.points[2].requests -= 1;
    }
    let unknown = Verdict::NotMeasured;
    assert_eq!(verdict(&results, &["libpintle.so", "flat", "10,000"]), unknown);
    assert_eq!(verdict(&results, &["libpintle.so", "resident set"]), unknown);
    let text = text(&results);
    assert!(text.contains(", one copy), 2 of 3 sizes only |"), "{text}");
    assert!(text.contains("(no filter: 500 KiB): too few to tell |"), "{text}");
}

#[test]
fn what_is_missing_is_not_judged() {
    let bounds = all(&sample::empty());
    assert!(bounds.iter().all(|bound| bound.verdict == Verdict::NotMeasured), "{bounds:#?}");
}
