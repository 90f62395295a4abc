//! The pictures of no results, and of made-up ones.

use roxmltree::{Document, Node};

use super::{Picture, all, text};
use crate::bench::machine::Machine;
use crate::bench::results::{
    Instructions, Job, Latency, LatencyRound, Memory, Place, Results, Round, Throughput,
};
use crate::bench::subject::Subject;

const NAMES: [&str; 5] = ["cost", "scenarios", "growth", "latency", "memory"];

#[test]
fn no_figures_no_pictures() {
    assert!(all(&nothing()).unwrap().is_empty());
}

#[test]
fn every_subject_is_named() {
    let pictures = all(&full()).unwrap();
    assert_eq!(pictures.iter().map(|picture| picture.name).collect::<Vec<_>>(), NAMES);
    for picture in pictures {
        let document = Document::parse(&picture.svg).unwrap();
        let texts: Vec<&str> = texts(&document).map(words).collect();
        let costs = ["cost", "scenarios", "growth"].contains(&picture.name);
        for subject in Subject::ALL.into_iter().filter(|s| !costs || *s != Subject::None) {
            let title = subject.title();
            assert!(texts.iter().any(|text| text.starts_with(title)), "{}: {title}", picture.name);
            assert!(described(&document, "desc").contains(title), "{}: {title}", picture.name);
        }
        assert_eq!(document.root_element().attribute("role"), Some("img"));
        assert!(picture.alt.starts_with(described(&document, "title")), "{}", picture.alt);
    }
}

#[test]
fn cpu_time_stands_in_for_instructions() {
    let mut results = full();
    results.instructions.clear();
    let pictures = all(&results).unwrap();
    let cost = &pictures[0];
    assert_eq!(cost.name, "cost");
    assert!(cost.alt.contains("µs of CPU time"), "{}", cost.alt);
    assert!(cost.alt.contains("Envoy's own 4.00; Lua 5.00;"), "{}", cost.alt);
}

#[test]
fn jobs_of_one_copy_are_marked() {
    let mut results = full();
    for of in &mut results.instructions {
        if ["rules", "chain"].contains(&of.place.scenario.as_str()) {
            of.copies = of.copies.min(1);
        }
    }
    let pictures = all(&results).unwrap();
    let marks = |name: &str| {
        let picture = pictures.iter().find(|picture| picture.name == name).unwrap();
        let document = Document::parse(&picture.svg).unwrap();
        described(&document, "desc").matches("(one copy)").count()
    };
    assert_eq!((marks("scenarios"), marks("growth")), (1, 1));
    pictures.iter().for_each(no_text_lies_on_another);
}

#[test]
fn figures_that_noise_swallows_are_drawn() {
    let mut results = full();
    results.instructions.clear();
    for round in results.throughput.iter_mut().flat_map(|of| &mut of.rounds) {
        round.cpu_seconds = 1.0 - round.cpu_seconds;
    }
    let pictures = all(&results).unwrap();
    assert!(pictures[0].alt.contains("Lua -5.00"), "{}", pictures[0].alt);
    pictures.iter().for_each(no_text_lies_on_another);
}

#[test]
fn same_results_same_bytes() {
    let svgs = || all(&full()).unwrap().into_iter().map(|p| p.svg).collect::<Vec<_>>();
    assert_eq!(svgs(), svgs());
}

#[test]
fn no_text_lies_on_another_or_leaves_the_picture() {
    all(&full()).unwrap().iter().for_each(no_text_lies_on_another);
}

fn no_text_lies_on_another(picture: &Picture) {
    let document = Document::parse(&picture.svg).unwrap();
    let side = |name| document.root_element().attribute(name).unwrap().parse::<f64>().unwrap();
    let boxes: Vec<(&str, [f64; 4])> = texts(&document).map(|n| (words(n), place(n))).collect();
    for (n, (text, [left, top, right, bottom])) in boxes.iter().enumerate() {
        let inside = *left >= -1.0 && *right <= side("width") + 1.0;
        assert!(inside && *top >= 0.0 && *bottom <= side("height"), "{}: {text}", picture.name);
        for (other, [l, t, r, b]) in &boxes[n + 1..] {
            let apart = right <= l || r <= left || bottom <= t || b <= top;
            assert!(apart, "{}: {text} lies on {other}", picture.name);
        }
    }
}

fn described<'d>(document: &'d Document<'d>, tag: &str) -> &'d str {
    let mut tagged = document.root_element().children().filter(|node| node.has_tag_name(tag));
    tagged.next().and_then(|node| node.text()).unwrap_or_default()
}

fn texts<'d>(document: &'d Document<'d>) -> impl Iterator<Item = Node<'d, 'd>> {
    document.descendants().filter(|node| node.has_tag_name("text"))
}

fn words<'d>(node: Node<'d, 'd>) -> &'d str {
    node.text().unwrap_or_default().trim()
}

/// Left, top, right, bottom.
fn place(node: Node<'_, '_>) -> [f64; 4] {
    let number = |name| node.attribute(name).unwrap().parse::<f64>().unwrap();
    let size = number("font-size");
    assert!(size >= 12.0, "{size} px are too small");
    let bold = if node.attribute("font-weight").is_some() { text::HEADING } else { text::BODY };
    let width = f64::from(bold.width(words(node))) * size / 13.0;
    let left = match node.attribute("text-anchor") {
        Some("start") => number("x"),
        Some("middle") => number("x") - width / 2.0,
        _ => number("x") - width,
    };
    let top = match node.attribute("dy") {
        Some("0.5ex") => number("y") - size / 2.0,
        _ => number("y"),
    };
    [left, top, left + width, top + size]
}

fn nothing() -> Results {
    let machine = Machine {
        date: "2026-01-31".into(),
        commit: "0123456789".into(),
        cpu: "made up".into(),
        cores: 2,
        memory_bytes: 1 << 33,
        kernel: "Linux".into(),
        envoy: "1.40.0".into(),
        tools: [].into(),
    };
    Results::new(machine, true)
}

/// Every measure of four jobs, two of them of two sizes. The nth subject costs n thousand instructions, or
/// n µs, more than the empty chain.
fn full() -> Results {
    let mut results = nothing();
    let jobs = [
        ("reference", None),
        ("rules", Some("rules & more")),
        ("credentials", Some("credentials")),
        ("chain", None),
    ];
    for (id, varies) in jobs {
        results.scenarios.push(Job {
            id: id.into(),
            title: format!("The job <{id}>, with a title so long that it takes more than a line"),
            about: "What it is.".into(),
            varies: varies.map(str::to_owned),
            sizes: if varies.is_some() { vec![1, 10_000] } else { Vec::new() },
            envoy_filters: vec!["basic_auth".into(), "header_mutation".into()],
        });
        let sizes = if varies.is_some() { vec![Some(1), Some(10_000)] } else { vec![None] };
        let place = |size, subject| Place { scenario: id.into(), size, subject };
        add(&mut results, place(None, Subject::None), 0);
        for size in sizes {
            for (subject, n) in Subject::ALL.into_iter().zip(0..).skip(1) {
                add(&mut results, place(size, subject), n);
            }
        }
    }
    results
}

fn add(results: &mut Results, place: Place, n: u32) {
    let cost = f64::from(n);
    let samples = vec![100_000.0 + 2_000.0 * cost; 3];
    let copies = if n == 0 { 0 } else { 2 };
    results.instructions.push(Instructions {
        place: place.clone(),
        copies,
        requests: 100,
        samples,
    });
    let round = Round { requests: 10_000, seconds: 1.0, cpu_seconds: 0.5 + 0.01 * cost };
    let rounds = vec![round; 3];
    results.throughput.push(Throughput { place: place.clone(), connections: 8, rounds });
    for load_percent in [25, 50, 75] {
        let p50_us = f64::from(load_percent) * 8.0 + cost;
        let round = LatencyRound {
            requests: 10_000,
            errors: 0,
            seconds: 1.0,
            cpu_seconds: 0.5,
            p50_us,
            p90_us: p50_us * 1.5,
            p99_us: p50_us * 3.0,
            p999_us: p50_us * 12.0,
        };
        let rounds = vec![round; 2];
        let rate = load_percent * 200;
        results.latency.push(Latency { place: place.clone(), load_percent, rate, rounds });
    }
    for workers in [1, 2, 4] {
        let resident_bytes = vec![u64::from(50 + n * workers) << 20];
        let place = place.clone();
        results.memory.push(Memory { place, workers, start_ms: vec![200.0], resident_bytes });
    }
}
