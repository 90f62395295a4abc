//! Callouts, schedulers, and requests that wait.

use super::*;
use crate::fakes::{CalloutPlan, FakeAnswer};
use crate::hooks;

/// A configuration whose text says what panics.
struct Asker {
    text: String,
    scheduler: EnvoyHttpFilterConfigScheduler,
    gauge: EnvoyGaugeId,
    histogram: EnvoyHistogramId,
}

/// Asks for each request, and lets it go on if the answer is 200.
struct Asking {
    panics: Option<&'static str>,
}

const PANICS: [&str; 3] = ["done", "done later", "scheduled"];

impl Drop for Asking {
    fn drop(&mut self) {
        seen("dropped");
    }
}

const FIELDS: [(&[u8], &[u8]); 3] =
    [(b":method", b"GET"), (b":path", b"/"), (b":authority", b"auth")];

impl HttpFilterConfig for Asker {
    type Filter = Asking;
    const PANIC_DETAILS: &'static str = "test_panic";

    fn new(envoy: &mut EnvoyHttpFilterConfig, _: &str, config: &[u8]) -> Option<Self> {
        // Nobody could be told how it ends.
        let early = envoy.send_http_callout("auth", FIELDS, None, 1);
        assert_eq!(early, Err(CalloutInitResult::CannotCreateRequest));
        Some(Self {
            text: String::from_utf8(config.to_vec()).ok()?,
            scheduler: envoy.new_scheduler(),
            gauge: envoy.define_gauge("asking").ok()?,
            histogram: envoy.define_histogram("milliseconds").ok()?,
        })
    }

    fn new_http_filter(&self, envoy: &EnvoyHttpFilter) -> Asking {
        let early = envoy.send_http_callout("auth", FIELDS, None, 1);
        assert_eq!(early, Err(CalloutInitResult::CannotCreateRequest));
        Asking { panics: PANICS.into_iter().find(|place| *place == self.text) }
    }

    fn on_scheduled(&self, envoy: &mut EnvoyHttpFilterConfig, event_id: u64) {
        assert_ne!(event_id, 13, "secret");
        assert!(envoy.takes_metrics());
        envoy.increase_gauge(self.gauge, 10).unwrap();
        envoy.record_histogram_value(self.histogram, event_id).unwrap();
        assert_eq!(envoy.define_gauge("late"), Err(MetricsResult::Frozen));
        let sent = envoy.send_http_callout("auth", FIELDS, Some(b"config"), 9);
        seen(format!("config sent {sent:?}"));
    }

    fn on_http_callout_done(
        &self,
        envoy: &mut EnvoyHttpFilterConfig,
        id: u64,
        outcome: CalloutOutcome<'_>,
    ) {
        assert_ne!(self.text, "done", "secret");
        envoy.decrease_gauge(self.gauge, 1).unwrap();
        seen(format!("config done {id} {}", describe(outcome)));
    }
}

fn describe(outcome: CalloutOutcome<'_>) -> String {
    let CalloutOutcome::Success(response) = outcome else { return format!("{outcome:?}") };
    let text = |bytes: EnvoyBuffer<'_>| String::from_utf8_lossy(&bytes).into_owned();
    let headers: Vec<_> = response.headers().map(|(_, value)| text(value)).collect();
    let chunks: Vec<_> = response.body_chunks().map(text).collect();
    format!("{} {}", headers.join(","), chunks.join("|"))
}

impl HttpFilter for Asking {
    type Config = Asker;
    const RESPONSE_HEADERS: bool = true;
    const LOCAL_REPLY: bool = true;
    const STREAM_COMPLETE: bool = true;
    const HTTP_CALLOUT_DONE: bool = true;
    const SCHEDULED: bool = true;

    fn on_request_headers(
        &self,
        config: &Asker,
        envoy: &mut EnvoyHttpFilter,
        _: bool,
    ) -> HeadersStatus {
        envoy.increase_gauge(config.gauge, 3).unwrap();
        envoy.decrease_gauge(config.gauge, 2).unwrap();
        envoy.record_histogram_value(config.histogram, 7).unwrap();
        let path = envoy.get_request_header_value(":path").unwrap();
        let sent = envoy.send_http_callout("auth", FIELDS, Some(b"body"), 250);
        // What was lent before is still good.
        assert_eq!(path.as_slice(), b"/a?b=c");
        seen(format!("sent {sent:?}"));
        match sent {
            Ok(_) => HeadersStatus::StopAllIterationAndWatermark,
            Err(_) => {
                envoy.send_response(503, [], None, None);
                HeadersStatus::StopIteration
            }
        }
    }

    fn on_response_headers(&self, _: &Asker, _: &mut EnvoyHttpFilter, _: bool) -> HeadersStatus {
        seen("response");
        HeadersStatus::Continue
    }

    fn on_local_reply(
        &self,
        _: &Asker,
        _: &mut EnvoyHttpFilter,
        status: u32,
        _: EnvoyBuffer<'_>,
        _: bool,
    ) -> LocalReplyStatus {
        seen(format!("reply {status}"));
        LocalReplyStatus::Continue
    }

    fn on_stream_complete(&self, _: &Asker, _: &mut EnvoyHttpFilter) {
        seen("complete");
    }

    fn on_http_callout_done(
        &self,
        _: &Asker,
        envoy: &mut EnvoyHttpFilter,
        id: u64,
        outcome: CalloutOutcome<'_>,
    ) {
        seen(format!("done {id} {}", describe(outcome)));
        assert_ne!(self.panics, Some("done"), "secret");
        match outcome {
            CalloutOutcome::Success(answer)
                if answer.headers().any(|(_, value)| value.as_slice() == b"200") =>
            {
                envoy.continue_decoding();
            }
            _ => envoy.send_response(403, [], None, None),
        }
        seen("after");
        assert_ne!(self.panics, Some("done later"), "secret");
    }

    fn on_scheduled(&self, _: &Asker, envoy: &mut EnvoyHttpFilter, event_id: u64) {
        seen(format!("scheduled {event_id}"));
        assert_ne!(self.panics, Some("scheduled"), "secret");
        envoy.continue_decoding();
    }
}

fn load(text: &str) -> FakeEnvoy<Asker> {
    FakeEnvoy::load("test", text.as_bytes()).expect("a good configuration")
}

/// A stream whose request waits for its first callout.
fn asking(envoy: &FakeEnvoy<Asker>) -> FakeStream<'_, Asker> {
    let stream = envoy.stream(request());
    assert_eq!(stream.request_headers(false), HeadersStatus::StopAllIterationAndWatermark);
    assert!(stream.is_held());
    assert_eq!(SEEN.take(), ["sent Ok(1)"]);
    stream
}

#[test]
fn a_request_waits_for_its_callout() {
    let envoy = load("");
    let stream = asking(&envoy);
    let callouts = stream.callouts();
    assert_eq!(callouts.len(), 1);
    assert_eq!((&*callouts[0].cluster, callouts[0].timeout_ms), ("auth", 250));
    assert_eq!((callouts[0].headers.len(), &*callouts[0].body), (3, &b"body"[..]));
    assert!(stream.answer(1, FakeAnswer::of("200", &["a", "", "b"]).field("x", "y")));
    assert_eq!((stream.resumed(), stream.is_held()), (1, false));
    assert_eq!(SEEN.take(), ["done 1 200,y a||b", "after"]);
    assert!(!stream.answer(1, FakeAnswer::Reset), "it has ended");
    drop(stream);
    assert_eq!(envoy.gauge("asking"), Some(1));
    assert_eq!(envoy.histogram("milliseconds"), Some(vec![7]));
    assert_eq!((envoy.gauge("none"), envoy.histogram("none")), (None, None));
}

#[test]
fn ends_of_callouts() {
    let envoy = load("");
    for (answer, told) in [
        (FakeAnswer::of("503", &[]), "done 1 503 "),
        (FakeAnswer::Reset, "done 1 Reset"),
        (FakeAnswer::ExceedResponseBufferLimit, "done 1 ExceedResponseBufferLimit"),
        (FakeAnswer::Unknown, "done 1 Reset"),
    ] {
        let stream = asking(&envoy);
        stream.answer(1, answer);
        assert_eq!((stream.resumed(), stream.replies()), (0, 1));
        assert_eq!(SEEN.take(), [told, "reply 403", "after"]);
        drop(stream);
        SEEN.take();
    }
}

#[test]
fn a_callout_that_is_answered_at_once_is_heard_of_later() {
    let envoy = load("");
    for plan in [CalloutPlan::Inline, CalloutPlan::InlineRefused] {
        envoy.plan(plan(FakeAnswer::of("200", &["a", "b"])));
        let stream = asking(&envoy);
        assert!(stream.callouts().is_empty());
        assert_eq!(stream.schedulers(), 0, "its event is on its way");
        assert_eq!(stream.run_scheduled(), 1);
        assert_eq!(SEEN.take(), ["done 1 200 a|b", "after"]);
        assert_eq!((stream.resumed(), stream.run_scheduled()), (1, 0));
        drop(stream);
        SEEN.take();
        // One whose stream goes before.
        let stream = asking(&envoy);
        stream.stream_complete();
        drop(stream);
        assert_eq!(SEEN.take(), ["complete", "dropped"]);
    }
    envoy.plan(CalloutPlan::Inline(FakeAnswer::Reset));
    let stream = asking(&envoy);
    stream.run_scheduled();
    assert_eq!(SEEN.take(), ["done 1 Reset", "reply 403", "after"]);
}

#[test]
fn a_callout_is_refused() {
    let envoy = load("");
    for why in [CalloutInitResult::ClusterNotFound, CalloutInitResult::CannotCreateRequest] {
        envoy.plan(CalloutPlan::Refuse(why));
        let stream = envoy.stream(request());
        assert_eq!(stream.request_headers(true), HeadersStatus::StopIteration);
        assert_eq!(SEEN.take(), [format!("sent Err({why:?})"), "reply 503".to_owned()]);
        drop(stream);
        SEEN.take();
    }
}

#[test]
fn a_stream_ends_while_it_is_resumed() {
    let envoy = load("");
    let stream = asking(&envoy);
    stream.respond_in_resume([(":status", "404")]);
    stream.answer(1, FakeAnswer::of("200", &[]));
    // The filter is there until its hook has returned.
    let told = ["done 1 200 ", "reply 404", "response", "complete", "after", "dropped"];
    assert_eq!(SEEN.take(), told);
    drop(stream);
    assert!(SEEN.take().is_empty());
}

#[test]
fn a_stream_ends_while_it_is_answered() {
    // Two that were answered at once: the second finds no filter.
    let envoy = load("");
    envoy.plan(CalloutPlan::Inline(FakeAnswer::Reset));
    let stream = asking(&envoy);
    stream.request_headers(true);
    stream.complete_in_reply();
    stream.destroy_in_reply();
    SEEN.take();
    stream.run_scheduled();
    assert_eq!(SEEN.take(), ["done 1 Reset", "reply 403", "complete", "after", "dropped"]);
}

#[test]
fn a_panic_is_answered_once() {
    for (place, end, replies) in [
        ("done", FakeAnswer::of("200", &[]), vec![500]),
        // It had been answered.
        ("done later", FakeAnswer::Reset, vec![403]),
        // It had gone on.
        ("done later", FakeAnswer::of("200", &[]), vec![500]),
    ] {
        let envoy = load(place);
        let stream = asking(&envoy);
        stream.answer(1, end);
        assert_eq!(stream.replies(), replies.len(), "{place}");
        assert_eq!(stream.reply().map(|reply| reply.status), replies.first().copied());
        drop(stream);
        SEEN.take();
    }
    let envoy = load("scheduled");
    let stream = asking(&envoy);
    let scheduler = stream.handle().new_scheduler();
    scheduler.commit(5);
    scheduler.commit(6);
    assert_eq!(stream.run_scheduled(), 2);
    assert_eq!((stream.replies(), stream.resumed()), (1, 0), "the second panic finds an answer");
    let reply = stream.reply().unwrap();
    assert_eq!((reply.status, &*reply.details), (500, "test_panic"));
    assert!(take_logs().iter().all(|line| !line.message.contains("secret")));
}

#[test]
fn another_thread_wakes_a_stream() {
    let envoy = load("");
    let stream = asking(&envoy);
    let scheduler = stream.handle().new_scheduler();
    assert_eq!(stream.schedulers(), 1);
    let other = std::thread::spawn(move || scheduler.commit(5));
    assert_eq!(stream.await_scheduled(), 1);
    other.join().unwrap();
    assert_eq!((SEEN.take(), stream.resumed()), (vec!["scheduled 5".to_owned()], 1));
    assert_eq!(stream.schedulers(), 0);
    // One that has gone is woken in vain, and so is one by the event of this crate.
    let scheduler = stream.handle().new_scheduler();
    scheduler.commit(u64::MAX);
    assert_eq!((stream.run_scheduled(), SEEN.take().len()), (1, 0));
    drop(stream);
    scheduler.commit(5);
}

#[test]
fn a_configuration_sends_callouts() {
    let envoy = load("");
    envoy.config().scheduler.commit(1);
    assert_eq!(envoy.run_scheduled(), 1);
    assert_eq!(SEEN.take(), ["config sent Ok(1)"]);
    assert_eq!(envoy.callouts()[0].body, b"config");
    assert!(envoy.answer(1, FakeAnswer::of("200", &["a"])));
    assert_eq!(SEEN.take(), ["config done 1 200 a"]);
    assert_eq!(envoy.gauge("asking"), Some(9));
    for plan in [CalloutPlan::Inline, CalloutPlan::InlineRefused] {
        envoy.plan(plan(FakeAnswer::Reset));
        envoy.config().scheduler.commit(2);
        assert_eq!(envoy.run_scheduled(), 2, "one more for what was answered at once");
        let seen = SEEN.take();
        assert!(seen[0].starts_with("config sent Ok") && seen[1].ends_with(" Reset"), "{seen:?}");
    }
    envoy.config().scheduler.commit(13);
    assert_eq!(envoy.run_scheduled(), 1);
    assert_eq!(take_logs().len(), 1, "a panic");
    envoy.plan(CalloutPlan::Start);
    envoy.config().scheduler.commit(3);
    envoy.run_scheduled();
    assert_eq!((envoy.callouts().len(), envoy.schedulers()), (1, 1));
    // What is under way is given up.
    drop(envoy);
    assert_eq!(SEEN.take().len(), 1);
}

#[test]
fn a_panic_over_a_callout_of_a_configuration_is_contained() {
    let envoy = load("done");
    envoy.config().scheduler.commit(1);
    envoy.run_scheduled();
    envoy.answer(1, FakeAnswer::Reset);
    let lines = take_logs();
    assert_eq!(lines.len(), 1);
    assert!(lines[0].message.ends_with("http_filter_config_http_callout_done"), "{lines:?}");
}

#[test]
fn events_that_come_after_the_end_do_nothing() {
    drop(load(""));
    let nobody = core::ptr::null_mut();
    let (no_headers, no_chunks) = (core::ptr::null(), core::ptr::null());
    // SAFETY: null is not followed, and without a filter nothing is asked of Envoy.
    unsafe {
        for event in [0, u64::MAX] {
            hooks::scheduled::<Asker>(nobody, nobody, event);
            hooks::config_scheduled::<Asker>(nobody, nobody, event);
        }
        hooks::http_callout_done::<Asker>(nobody, nobody, 1, 0, no_headers, 0, no_chunks, 0);
        hooks::config_http_callout_done::<Asker>(nobody, nobody, 1, 0, no_headers, 0, no_chunks, 0);
        // A filter that sends nothing.
        hooks::scheduled::<Script>(nobody, nobody, 0);
        hooks::http_callout_done::<Script>(nobody, nobody, 1, 0, no_headers, 0, no_chunks, 0);
    }
    assert!(SEEN.take().is_empty());
}
