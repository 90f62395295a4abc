//! A filter that sends something out for each request, and lets it go on.

use std::sync::{Mutex, PoisonError};

use pintle_core::config::{Load, Pointer};
use pintle_core::metrics::{Meter, MetricKind};
use pintle_core::{
    Callout, Errand, FieldName, Filter, Flow, Home, Host, Outcome, Phases, Request, Section,
};

pintle_core::filters! {
    /// The filter of these tests.
    pub(crate) enum Mine { Messenger }
}

/// Sends its messages to a cluster.
pub(crate) struct Messenger {
    /// How often for each request.
    times: u32,
    tag: String,
    cluster: String,
    timeout_ms: u32,
}

/// Its fields.
#[derive(serde::Deserialize)]
pub(crate) struct MessengerFields {
    times: u32,
    tag: String,
    cluster: String,
    timeout_ms: u32,
}

/// What became of all messages: the name of the filter, and the outcome.
pub(crate) static ENDED: Mutex<Vec<(String, String)>> = Mutex::new(Vec::new());

/// The outcomes so far of the messages of one filter.
pub(crate) fn ended(name: &str) -> Vec<String> {
    let all = ENDED.lock().unwrap_or_else(PoisonError::into_inner);
    all.iter().filter(|ended| ended.0 == name).map(|ended| ended.1.clone()).collect()
}

const fn meter(name: &'static str, kind: MetricKind) -> Meter {
    Meter { name, label: None, kind }
}

impl Filter for Messenger {
    const KIND: &'static str = "messenger";
    const METERS: &'static [Meter] = &[
        meter("ended", MetricKind::Counter),
        meter("under_way", MetricKind::Gauge),
        meter("milliseconds", MetricKind::Histogram),
        meter("unsent", MetricKind::Counter),
    ];
    type Fields = MessengerFields;

    fn compile(fields: MessengerFields, _: &Pointer<'_>, _: &mut Load) -> Option<Self> {
        let MessengerFields { times, tag, cluster, timeout_ms } = fields;
        Some(Self { times, tag, cluster, timeout_ms })
    }

    fn phases(&self) -> Phases {
        Phases::Request
    }

    fn on_request<'s, H: Host>(&'s self, host: &mut H, request: &mut Request<'_>) -> Flow<'s> {
        let fields: &[(&[u8], &[u8])] =
            &[(b":method", b"POST"), (b":path", b"/"), (b":authority", b"auth.example")];
        let (cluster, timeout_ms) = (&*self.cluster, self.timeout_ms);
        let callout = Callout { cluster, fields, body: b"message", timeout_ms };
        let home = request.home;
        // What it may call beside the stores.
        host.shared(home.store, 7, |_| host.waker());
        for _ in 0..self.times {
            match host.send_out(&callout, Errand::new(self.tag.clone())) {
                Ok(()) => host.shift(home.metric(1), 1),
                Err(_) => host.add(home.metric(3), 1),
            }
        }
        Flow::Continue
    }

    fn on_errand<H: Host>(&self, errand: Errand, outcome: Outcome<'_>, host: &H, home: Home) {
        let name = errand.state.downcast::<String>().expect("what was sent out");
        // There is no stream.
        assert_eq!(host.fields(Section::Request).count(), 0);
        assert_eq!(host.values(Section::Response, FieldName::STATUS).count(), 0);
        assert!(host.now().0 > 1_700_000_000_000);
        host.wake(host.waker());
        host.add(home.metric(0), 1);
        host.shift(home.metric(1), -1);
        host.record(home.metric(2), 5);
        let told = match outcome {
            Outcome::Answer(answer) => {
                assert_ne!(answer.body, b"panic");
                format!("{} {}", answer.status, String::from_utf8_lossy(answer.body))
            }
            Outcome::Failed => "failed".to_owned(),
        };
        ENDED.lock().unwrap_or_else(PoisonError::into_inner).push((*name, told));
    }
}
