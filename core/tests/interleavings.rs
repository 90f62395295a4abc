//! Every order in which things can happen to up to three requests with one credential: they arrive,
//! go, are woken, their callouts end in every way, and time passes. On both kinds of host: those
//! whose callouts die with their stream, and those whose callouts outlive it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::rc::Rc;

use pintle_core::config::HashKey;
use pintle_core::testing::corpus::CalloutReply;
use pintle_core::testing::{MemoryHost, Sender, Slots, World, with_outcome};
use pintle_core::{Answer, CalloutId, DispatchError, Event, Policy, Scratch, Stream, UnixTime};

/// What is tried.
struct Scenario {
    /// Members of the filter's configuration beside the cache.
    knobs: &'static str,
    /// Members of the cache's configuration beside `ttl`.
    cache: &'static str,
    /// How many requests there are.
    requests: usize,
    /// How much time passes when some does, in milliseconds, and how often it may.
    steps: (u64, usize),
    /// Whether a request may go on without a token where the service is not there.
    allows: bool,
    /// Whether it may come to where no callout can be started any more.
    goes_down: bool,
}

const PLAIN: Scenario =
    Scenario { knobs: "", cache: "", requests: 3, steps: (0, 0), allows: false, goes_down: false };

/// In milliseconds.
const TIMEOUT: u64 = 1_000;
const TTL: u64 = 10_000;

#[test]
fn three_requests() {
    explore(&PLAIN);
}

#[test]
fn three_requests_and_a_deadline() {
    explore(&Scenario { steps: (TIMEOUT + 1, 1), ..PLAIN });
}

#[test]
fn two_requests_with_deadlines_of_their_own() {
    explore(&Scenario { requests: 2, steps: (TIMEOUT * 6 / 10, 3), ..PLAIN });
}

#[test]
fn callouts_that_cannot_be_started() {
    explore(&Scenario { goes_down: true, ..PLAIN });
    explore(&Scenario { goes_down: true, requests: 2, steps: (TIMEOUT + 1, 1), ..PLAIN });
}

#[test]
fn three_requests_that_may_go_on_without_a_token() {
    let knobs = r#""on_unavailable": "allow","#;
    explore(&Scenario { knobs, steps: (TIMEOUT + 1, 1), allows: true, ..PLAIN });
}

#[test]
fn three_requests_of_which_one_may_wait() {
    explore(&Scenario { cache: r#", "max_waiters": 1"#, ..PLAIN });
}

#[test]
fn refusals_that_are_not_remembered() {
    explore(&Scenario { cache: r#", "negative_ttl": "0s""#, ..PLAIN });
}

#[test]
fn old_answers_in_place_of_none() {
    let cache = r#", "stale_if_error": "1m""#;
    explore(&Scenario { cache, requests: 3, steps: (TTL + 1, 1), ..PLAIN });
}

#[test]
fn renewal_ahead_of_need() {
    let cache = r#", "refresh_ahead": true"#;
    explore(&Scenario { cache, requests: 3, steps: (TTL * 9 / 10, 1), ..PLAIN });
    explore(&Scenario { cache, requests: 2, steps: (TTL * 9 / 10, 2), ..PLAIN });
}

/// What becomes of a callout whose stream has gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Callouts {
    /// The host gives it up (the native module).
    Die,
    /// It ends as it would have (proxy-wasm).
    Outlive,
}

/// What happens next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    Arrives,
    Goes(usize),
    Ends(CalloutId, End),
    Wakes(usize),
    TimePasses,
    /// From now on no callout can be started.
    Down,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Granted,
    Refused,
    Unavailable,
    Failed,
}

impl End {
    const ALL: [Self; 4] = [Self::Granted, Self::Refused, Self::Unavailable, Self::Failed];

    fn reply(self, id: CalloutId) -> Option<CalloutReply> {
        let (status, body) = match self {
            Self::Granted => (200, token(id)),
            Self::Refused => (401, "no".to_string()),
            Self::Unavailable => (503, "not now".to_string()),
            Self::Failed => return None,
        };
        Some(CalloutReply { status, fields: Vec::new(), body: body.into() })
    }
}

fn token(id: CalloutId) -> String {
    format!("token-{}", id.0)
}

/// Takes every way through the scenario, each from the start, on both kinds of host.
fn explore(scenario: &Scenario) {
    let Scenario { knobs, cache, .. } = scenario;
    let config = format!(
        r#"{{"filters": [{{"token_exchange": {{
            "cluster": "auth", "authority": "auth.example", "path": "/token", "timeout": "{TIMEOUT}ms", {knobs}
            "cache": {{"ttl": "{TTL}ms", "max_entries": 100{cache}}}
        }}}}]}}"#
    );
    let policy = Policy::load(config.as_bytes(), HashKey::new([7; 16])).unwrap();
    for callouts in [Callouts::Die, Callouts::Outlive] {
        let (mut choices, mut ways) = (Vec::<(usize, usize)>::new(), 0_usize);
        let mut ends = BTreeSet::new();
        loop {
            let mut course = Course::new(&policy, scenario, callouts);
            for place in 0.. {
                let turns = course.turns();
                let Some(choice) = (match choices.get(place) {
                    Some((choice, _)) => Some(*choice),
                    None if turns.is_empty() => None,
                    None => {
                        choices.push((0, turns.len()));
                        Some(0)
                    }
                }) else {
                    break;
                };
                course.take(turns[choice]);
            }
            course.finish();
            ends.extend(course.answers());
            ways += 1;
            // The next way: the last turn at which there was another choice.
            while choices.last().is_some_and(|(choice, of)| choice + 1 == *of) {
                choices.pop();
            }
            match choices.last_mut() {
                Some((choice, _)) => *choice += 1,
                None => break,
            }
        }
        // Else not everything has been tried.
        let kinds: BTreeSet<&str> = ends.iter().map(String::as_str).collect();
        assert!(kinds.contains("token") && kinds.contains("401"), "{callouts:?}: {kinds:?}");
        assert_eq!(kinds.contains("503"), !scenario.allows || kinds.contains("overloaded"));
        assert_eq!(kinds.contains("no token"), scenario.allows, "{callouts:?}: {kinds:?}");
        println!("{callouts:?}: {ways} ways to {kinds:?}");
    }
}

/// One way through a scenario.
struct Course<'p> {
    policy: &'p Policy,
    scenario: &'p Scenario,
    callouts: Callouts,
    world: Rc<World>,
    requests: Vec<Request>,
    scratch: Scratch,
    /// The host of no stream.
    errands: MemoryHost,
    time_left: usize,
    /// Until when each callout that was ever started is good for, in the order of their ids.
    deadlines: BTreeMap<CalloutId, UnixTime>,
    granted: BTreeSet<CalloutId>,
    troubles: usize,
    trace: Vec<Turn>,
}

struct Request {
    host: MemoryHost,
    stream: Stream,
    state: State,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Waits,
    /// Its client has gone; its callout has not ended.
    Gone,
    Answered(String),
    Over,
}

impl<'p> Course<'p> {
    fn new(policy: &'p Policy, scenario: &'p Scenario, callouts: Callouts) -> Self {
        let world = Rc::new(World::of(policy));
        world.slots.replace((callouts == Callouts::Outlive).then(Slots::new));
        world.now.set(UnixTime(1_000_000));
        let mut errands = MemoryHost::new(Vec::new());
        (errands.world, errands.level) = (Rc::clone(&world), None);
        Self {
            policy,
            scenario,
            callouts,
            world,
            requests: Vec::new(),
            scratch: Scratch::default(),
            errands,
            time_left: scenario.steps.1,
            deadlines: BTreeMap::new(),
            granted: BTreeSet::new(),
            troubles: 0,
            trace: Vec::new(),
        }
    }

    /// All that can happen now. Nothing can, once every request has come to an end.
    fn turns(&self) -> Vec<Turn> {
        let mut turns = Vec::new();
        if self.requests.len() < self.scenario.requests {
            turns.push(Turn::Arrives);
        }
        for (number, request) in self.requests.iter().enumerate() {
            if request.state == State::Waits {
                turns.push(Turn::Goes(number));
            }
        }
        for id in self.world.callouts.borrow().keys() {
            turns.extend(End::ALL.map(|end| Turn::Ends(*id, end)));
        }
        turns.extend(self.world.woken.borrow().iter().map(|number| Turn::Wakes(*number)));
        if self.time_left > 0 && !turns.is_empty() && !self.requests.is_empty() {
            turns.push(Turn::TimePasses);
        }
        if self.scenario.goes_down && self.world.down.get().is_none() && !turns.is_empty() {
            turns.push(Turn::Down);
        }
        turns
    }

    fn take(&mut self, turn: Turn) {
        self.trace.push(turn);
        match turn {
            Turn::Arrives => self.arrives(),
            Turn::Goes(number) => self.goes(number),
            Turn::Ends(id, end) => self.ends(id, end),
            Turn::Wakes(number) => self.wakes(number),
            Turn::Down => self.world.down.set(Some(DispatchError::CannotSend)),
            Turn::TimePasses => {
                self.time_left -= 1;
                self.world.now.set(self.world.now.get().after(self.scenario.steps.0));
            }
        }
        self.look();
    }

    fn arrives(&mut self) {
        let lines = [
            (":method", "GET"),
            (":path", "/"),
            (":authority", "example.com"),
            (":scheme", "http"),
            ("authorization", "Bearer of-the-caller"),
            ("x-auth-jwt", "forged"),
        ];
        let mut host =
            MemoryHost::new(lines.map(|(name, value)| (name.into(), value.into())).into());
        (host.world, host.level) = (Rc::clone(&self.world), None);
        host.number = self.requests.len();
        let mut stream = Stream::default();
        let answer = self.policy.on_request(&mut stream, &mut host, &mut self.scratch);
        let answer = owned(answer);
        assert_eq!(stream.is_waiting(), answer.is_none());
        self.requests.push(Request { host, stream, state: State::Waits });
        self.answered(self.requests.len() - 1, answer);
    }

    fn goes(&mut self, number: usize) {
        let has_callout = self.has_callout(number);
        if has_callout && self.callouts == Callouts::Outlive {
            self.requests[number].state = State::Gone;
            return;
        }
        self.world.callouts.borrow_mut().retain(|_, callout| !is_of(&callout.sender, number));
        self.over(number);
    }

    fn over(&mut self, number: usize) {
        let request = &mut self.requests[number];
        self.policy.on_gone(&mut request.stream, &request.host);
        assert!(!request.stream.is_waiting());
        request.state = State::Over;
        // The host drops what would wake it.
        self.world.woken.borrow_mut().retain(|woken| *woken != number);
    }

    fn ends(&mut self, id: CalloutId, end: End) {
        let callout = self.world.callouts.borrow_mut().remove(&id).unwrap();
        match end {
            End::Granted => _ = self.granted.insert(id),
            End::Refused => {}
            End::Unavailable | End::Failed => self.troubles += 1,
        }
        let reply = end.reply(id);
        let number = match callout.sender {
            Sender::Stream(number) => number,
            Sender::Errand(errand) => {
                return with_outcome(reply.as_ref(), |outcome| {
                    self.policy.on_errand(errand, outcome, &self.errands);
                });
            }
        };
        let answer =
            with_outcome(reply.as_ref(), |outcome| self.event(number, Event::Ended(id, outcome)));
        if self.requests[number].state == State::Gone {
            // Nobody is there to be answered. What still waits would wait for nothing.
            match answer {
                None if self.has_callout(number) => {}
                _ => self.over(number),
            }
            return;
        }
        self.answered(number, answer);
    }

    fn wakes(&mut self, number: usize) {
        let mut woken = self.world.woken.borrow_mut();
        let place = woken.iter().position(|woken| *woken == number).unwrap();
        woken.remove(place);
        drop(woken);
        if self.requests[number].state == State::Gone {
            return;
        }
        let answer = self.event(number, Event::Woken);
        self.answered(number, answer);
    }

    fn event(&mut self, number: usize, event: Event<'_>) -> Option<Given> {
        let Request { stream, host, .. } = &mut self.requests[number];
        owned(self.policy.on_event(stream, event, host, &mut self.scratch))
    }

    fn answered(&mut self, number: usize, answer: Option<Given>) {
        let Some(given) = answer else { return };
        let request = &mut self.requests[number];
        assert_eq!(request.state, State::Waits, "answered twice");
        assert!(!request.stream.is_waiting());
        let answer = match given {
            Given::Reply(status, details) => {
                if details == "pintle_exchange_overloaded" {
                    "overloaded".to_string()
                } else {
                    status.to_string()
                }
            }
            Given::Continue => {
                let sent: Vec<&[u8]> = {
                    let lines = request.host.request.iter();
                    lines.filter(|(n, _)| n == b"x-auth-jwt").map(|(_, v)| v.as_slice()).collect()
                };
                match sent.as_slice() {
                    [] => {
                        assert!(self.scenario.allows, "without a token");
                        let late = self.time_left < self.scenario.steps.1;
                        assert!(self.troubles > 0 || late, "without a reason");
                        "no token".to_string()
                    }
                    [sent] => {
                        let known = self.granted.iter().any(|id| token(*id).as_bytes() == *sent);
                        assert!(known, "a token that nobody granted");
                        "token".to_string()
                    }
                    _ => panic!("several tokens"),
                }
            }
        };
        request.state = State::Answered(answer);
        // A host drops what would wake it, and what comes all the same changes nothing.
        self.world.woken.borrow_mut().retain(|woken| *woken != number);
        assert!(self.event(number, Event::Woken).is_none());
    }

    /// What holds at all times.
    fn look(&mut self) {
        let now = self.world.now.get();
        let callouts = self.world.callouts.borrow();
        for (id, callout) in callouts.iter() {
            assert!((1..=TIMEOUT).contains(&u64::from(callout.timeout_ms)));
            self.deadlines.entry(*id).or_insert(now.after(u64::from(callout.timeout_ms)));
        }
        let under_way = callouts.keys().filter(|id| now < self.deadlines[*id]).count();
        assert!(under_way <= 1, "{under_way} callouts under way");
        // Nothing on a host runs by itself: without these nobody would ever be answered.
        let waits = self.requests.iter().any(|request| request.state == State::Waits);
        let something_comes = !callouts.is_empty() || !self.world.woken.borrow().is_empty();
        assert!(something_comes || !waits, "waits for ever");
        let known = |n: &usize| *n < self.requests.len();
        assert!(self.world.woken.borrow().iter().all(known));
    }

    /// What holds when all requests have come to an end.
    fn finish(&mut self) {
        for request in &self.requests {
            let ended = matches!(request.state, State::Answered(_) | State::Over);
            assert!(ended, "{:?}", request.state);
        }
        assert_eq!(self.gauge("waiting"), 0);
        assert!((0..=1).contains(&self.gauge("entries")));
        // One more meets no flight that nobody is on: it is answered, or asks by itself.
        self.world.down.set(None);
        self.arrives();
        let number = self.requests.len() - 1;
        if self.requests[number].state == State::Waits {
            assert!(self.has_callout(number), "waits for nobody");
            let id = *self.world.callouts.borrow().keys().next().unwrap();
            self.ends(id, End::Granted);
            assert_eq!(self.requests[number].state, State::Answered("token".to_string()));
        }
        assert_eq!(self.gauge("waiting"), 0);
    }

    fn answers(&self) -> impl Iterator<Item = String> {
        self.requests.iter().filter_map(|request| match &request.state {
            State::Answered(answer) => Some(answer.clone()),
            _ => None,
        })
    }

    fn has_callout(&self, number: usize) -> bool {
        self.world.callouts.borrow().values().any(|callout| is_of(&callout.sender, number))
    }

    /// Where a gauge stands, moved by whomever.
    fn gauge(&self, name: &str) -> i64 {
        let metrics = self.policy.metrics();
        let place = metrics.iter().position(|metric| metric.measure.name() == name).unwrap();
        let hosts = self.requests.iter().map(|request| &request.host).chain([&self.errands]);
        hosts.map(|host| host.gauge(place)).sum()
    }

    /// What has happened so far.
    fn told(&self) -> String {
        let mut told = format!("callouts {:?}, then", self.callouts);
        for turn in &self.trace {
            let _ = write!(told, " {turn:?}");
        }
        let states: Vec<_> = self.requests.iter().map(|request| &request.state).collect();
        let _ = write!(told, "; now {states:?}, {} callouts", self.world.callouts.borrow().len());
        told
    }
}

/// Says how it came to that, where an assertion fails.
impl Drop for Course<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.told());
        }
    }
}

/// An answer to a request.
enum Given {
    Continue,
    Reply(u16, String),
}

fn owned(answer: Answer<'_>) -> Option<Given> {
    match answer {
        Answer::Wait => None,
        Answer::Continue => Some(Given::Continue),
        Answer::Reply(reply) => Some(Given::Reply(reply.status, reply.details.into_owned())),
    }
}

fn is_of(sender: &Sender, number: usize) -> bool {
    matches!(sender, Sender::Stream(stream) if *stream == number)
}
