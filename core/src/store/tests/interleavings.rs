//! Every order of what up to three requests for one key can do: each is played from the start, for
//! all choices at every step, on a shard of its own.

use alloc::vec::Vec;
use core::mem;

use super::*;

/// Milliseconds by which the clock moves at once. Two of these are past the deadline of whoever came first,
/// and long before its flight counts as lost.
const TICK: u64 = 60;

#[derive(Clone, Copy, Debug)]
enum Step {
    /// The next request asks.
    Ask,
    /// The callout of the leader ends.
    Land(usize, Answer),
    /// A request goes, leading or waiting.
    Go(usize),
    /// A request that was woken looks what there is.
    Collect(usize),
    /// A request that was not woken looks all the same.
    Peek(usize),
    /// The clock moves.
    Tick,
    /// An errand, or a leader with its stream, is never heard of again.
    Lose(usize),
    /// Something panics, and nobody knows what.
    Panic,
}

#[derive(Clone, Copy, Debug)]
enum Answer {
    Granted,
    Refused,
    Unavailable,
}

/// What a play begins with and what may happen in it.
#[derive(Clone, Copy, Debug)]
struct Scene {
    requests: usize,
    ticks: usize,
    /// Whether an errand is under way before the first asks.
    led: bool,
    /// The times of a token that is stored before, if one is, and of answers.
    before: Option<Life>,
    answers: Option<Life>,
    /// Whether leaders may be lost: then a tick is long enough that they are missed, and with them
    /// those who are only late.
    losses: bool,
    /// How often requests look that were not woken.
    peeks: usize,
    /// How often something panics.
    panics: usize,
}

/// A request, or the errand that one sent out.
enum Role {
    ToCome,
    Leads {
        ticket: Ticket,
        errand: bool,
    },
    /// Led before a panic, and lives.
    Astray {
        ticket: Ticket,
        errand: bool,
    },
    Waits {
        ticket: Ticket,
        woken: bool,
    },
    Lost,
    Done,
}

struct Play {
    scene: Scene,
    store: Store,
    roles: Vec<Role>,
    came: Vec<u64>,
    results: Vec<usize>,
    next: usize,
    now: u64,
    ticks: usize,
    peeks: usize,
    panics: usize,
    /// What waiters may be given, and whether it is an old one: what landed since.
    landed: Vec<(Seen, bool)>,
}

const OF: Key = Key(5 << 64);

impl Play {
    fn new(scene: Scene) -> Self {
        let mut store = spec(8, 80_000, scene.requests).shard();
        if let Some(life) = scene.before {
            put(&mut store, OF, 0, token("old"), life);
        }
        // Each request may send an errand; these have places behind all requests.
        let mut roles: Vec<Role> = (0..scene.requests * 2).map(|_| Role::ToCome).collect();
        if scene.led {
            roles.push(Role::Leads { ticket: lead(&mut store, OF, 10), errand: true });
        }
        Self {
            scene,
            store,
            roles,
            came: (0..scene.requests).map(|_| 0).collect(),
            results: (0..scene.requests).map(|_| 0).collect(),
            next: 0,
            now: 10,
            ticks: 0,
            peeks: 0,
            panics: 0,
            landed: Vec::new(),
        }
    }

    fn steps(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        if self.next < self.scene.requests {
            steps.push(Step::Ask);
        }
        for (who, role) in self.roles.iter().enumerate() {
            match role {
                Role::Leads { errand, .. } => {
                    let answers = [Answer::Granted, Answer::Unavailable, Answer::Refused];
                    // To those who wait, one answer is as good as another.
                    let all = if self.scene.led { 2 } else { 3 };
                    steps.extend(answers.iter().take(all).map(|answer| Step::Land(who, *answer)));
                    steps.push(Step::Go(who));
                    if self.scene.losses && (*errand || who == 0) {
                        steps.push(Step::Lose(who));
                    }
                }
                Role::Astray { .. } => {
                    steps.extend([Step::Land(who, Answer::Granted), Step::Go(who)]);
                }
                Role::Waits { woken: true, .. } => {
                    steps.extend([Step::Collect(who), Step::Go(who)])
                }
                Role::Waits { woken: false, .. } if self.peeks < self.scene.peeks => {
                    steps.push(Step::Peek(who))
                }
                _ => {}
            }
        }
        // Whoever waits may go, but nobody's turn may depend on it: unwoken, with nothing else to
        // come, it is stranded.
        if !steps.is_empty() {
            for (who, role) in self.roles.iter().enumerate() {
                if matches!(role, Role::Waits { woken: false, .. }) {
                    steps.push(Step::Go(who));
                }
            }
            if self.ticks < self.scene.ticks {
                steps.push(Step::Tick);
            }
            if self.panics < self.scene.panics {
                steps.push(Step::Panic);
            }
        }
        steps
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Ask => self.ask(),
            Step::Land(who, answer) => self.land(who, answer),
            Step::Go(who) => self.go(who),
            Step::Collect(who) => self.collect(who),
            Step::Peek(who) => {
                self.peeks += 1;
                self.collect(who);
            }
            Step::Tick => {
                self.ticks += 1;
                self.now += if self.scene.losses { TICK * 25 } else { TICK };
            }
            Step::Lose(who) => {
                self.roles[who] = Role::Lost;
            }
            Step::Panic => self.panic(),
        }
        self.check();
    }

    fn ask(&mut self) {
        let who = self.next;
        self.next += 1;
        self.came[who] = self.now;
        self.roles[who] = match ask(&mut self.store, OF, self.now, who) {
            Asked::Lead(ticket) => Role::Leads { ticket, errand: false },
            Asked::Wait(ticket) => Role::Waits { ticket, woken: false },
            Asked::Known { refresh, .. } => {
                self.results[who] += 1;
                if let Some(ticket) = refresh {
                    let errand = self.scene.requests + who;
                    self.roles[errand] = Role::Leads { ticket, errand: true };
                }
                Role::Done
            }
            Asked::Full => panic!("there is room for all"),
        };
    }

    fn land(&mut self, who: usize, answer: Answer) {
        let (ticket, errand, astray) = match self.end(who) {
            Role::Leads { ticket, errand } => (ticket, errand, false),
            Role::Astray { ticket, errand } => (ticket, errand, true),
            _ => panic!("{who} leads nothing"),
        };
        let (verdict, life) = match answer {
            Answer::Granted => (token("new"), self.scene.answers),
            Answer::Refused => (refusal(401), self.scene.answers),
            Answer::Unavailable => (Verdict::Unavailable, None),
        };
        let life = life.map(|life| Life {
            refresh_from: life.refresh_from.after(self.now),
            fresh_until: life.fresh_until.after(self.now),
            stale_until: life.stale_until.after(self.now),
        });
        let seen = Seen::of(&verdict);
        let landed = self.store.land(ticket, verdict, life, at(self.now));
        let for_leader = Seen::of(&landed.verdict);
        match answer {
            Answer::Unavailable => assert!(landed.stale || for_leader != Seen::Refusal(401)),
            _ => assert_eq!((&for_leader, landed.stale), (&seen, false)),
        }
        if astray {
            assert!(landed.wake.is_empty(), "{who} wakes those who wait for another");
        } else {
            self.landed.push((for_leader, landed.stale));
        }
        if !errand {
            self.results[who] += 1;
        }
        for other in landed.wake {
            self.wake(other);
        }
    }

    fn go(&mut self, who: usize) {
        let (Role::Leads { ticket, .. } | Role::Astray { ticket, .. } | Role::Waits { ticket, .. }) =
            self.end(who)
        else {
            panic!("{who} has gone before");
        };
        if let Some(next) = self.store.leave(ticket, at(self.now)) {
            self.wake(next);
        }
    }

    fn collect(&mut self, who: usize) {
        let Role::Waits { ticket, woken } = self.end(who) else { panic!("{who} does not wait") };
        let deadline = self.came[who] + TIMEOUT;
        match self.store.collect(ticket, at(self.now), || who) {
            Collected::Landed { verdict, stale } => {
                assert!(woken, "{who} has an answer and was not told");
                assert!(self.landed.contains(&(Seen::of(&verdict), stale)), "{verdict:?} {stale}");
                self.results[who] += 1;
            }
            Collected::Lead(ticket, left) => {
                assert!(woken, "{who} was to lead and was not told");
                assert_eq!(left, deadline - self.now);
                assert!(left >= 1);
                self.roles[who] = Role::Leads { ticket, errand: false };
            }
            Collected::Wait(ticket) => {
                assert!(!woken || self.panics > 0, "{who} was woken for nothing");
                self.roles[who] = Role::Waits { ticket, woken: false };
            }
            Collected::Late(next) => {
                assert!(self.now >= deadline, "{who} has time left");
                assert!(woken || next.is_none(), "{who} was to lead and was not told");
                self.results[who] += 1;
                if let Some(next) = next {
                    self.wake(next);
                }
            }
        }
    }

    fn panic(&mut self) {
        self.panics += 1;
        for role in &mut self.roles {
            *role = match mem::replace(role, Role::Done) {
                Role::Leads { ticket, errand } => Role::Astray { ticket, errand },
                other => other,
            };
        }
        for who in self.store.disband() {
            self.wake(who);
        }
        let unwoken = |role: &Role| matches!(role, Role::Waits { woken: false, .. });
        assert!(!self.roles.iter().any(unwoken), "all see for themselves");
    }

    /// A waker comes out of the store once, of whoever waits still.
    fn wake(&mut self, who: usize) {
        match &mut self.roles[who] {
            Role::Waits { woken, .. } if !*woken => *woken = true,
            _ => panic!("{who} is woken twice, or waits no more"),
        }
    }

    fn leads_in_time(&self, who: usize) -> bool {
        let came = self.came[who % self.scene.requests];
        matches!(self.roles[who], Role::Leads { .. }) && self.now <= came + TIMEOUT + 1_000
    }

    fn end(&mut self, who: usize) -> Role {
        mem::replace(&mut self.roles[who], Role::Done)
    }

    /// What holds after every step.
    fn check(&self) {
        let holds = |wanted: fn(&Role) -> bool| self.roles.iter().filter(|r| wanted(r)).count();
        let leading = (0..self.roles.len()).filter(|who| self.leads_in_time(*who)).count();
        let overdue = holds(|role| matches!(role, Role::Leads { .. })) - leading;
        let lost = holds(|role| matches!(role, Role::Lost));
        let unwoken = holds(|role| matches!(role, Role::Waits { woken: false, .. }));
        let woken = holds(|role| matches!(role, Role::Waits { woken: true, .. }));
        assert!(leading <= 1, "{leading} callouts under way");
        assert!(unwoken == 0 || leading + overdue + woken + lost > 0, "{unwoken} are stranded");
        assert!(self.results.iter().all(|results| *results <= 1));
        let (under_way, landed, waiting) = flights(&self.store);
        assert!(under_way <= 1);
        assert!(leading == 0 || under_way == 1);
        assert!(waiting >= unwoken && waiting <= unwoken + woken, "{waiting} are remembered");
        assert!(landed <= woken, "{landed} results for {woken} requests");
    }

    /// What holds when nothing more can happen.
    fn finish(&self) {
        let lost = self.roles.iter().any(|role| matches!(role, Role::Lost));
        for role in &self.roles {
            match role {
                Role::Waits { .. } => assert!(lost, "stranded"),
                Role::Leads { .. } | Role::Astray { .. } => panic!("leads for ever"),
                Role::Lost | Role::ToCome | Role::Done => {}
            }
        }
        assert!(lost || flights(&self.store) == (0, 0, 0), "{:?}", self.store);
    }
}

/// Plays every order; how many there are.
fn play_all(scene: Scene) -> usize {
    let mut choices: Vec<(usize, usize)> = Vec::new();
    let mut plays = 0;
    loop {
        let mut play = Play::new(scene);
        let mut taken = Taken { scene, steps: Vec::new() };
        for depth in 0.. {
            let steps = play.steps();
            if steps.is_empty() {
                break;
            }
            if depth == choices.len() {
                choices.push((0, steps.len()));
            }
            let (choice, of) = choices[depth];
            assert_eq!(of, steps.len(), "a play depends on its steps alone");
            taken.steps.push(steps[choice]);
            play.take(steps[choice]);
        }
        play.finish();
        plays += 1;
        while let Some((choice, of)) = choices.pop() {
            if choice + 1 < of {
                choices.push((choice + 1, of));
                break;
            }
        }
        if choices.is_empty() {
            return plays;
        }
    }
}

/// What led to a failure, shown when one happens.
struct Taken {
    scene: Scene,
    steps: Vec<Step>,
}

impl Drop for Taken {
    fn drop(&mut self) {
        if std::thread::panicking() {
            std::eprintln!("{:?}\n{:?}", self.scene, self.steps);
        }
    }
}

/// Times in milliseconds from when the answer is stored.
const fn times(refresh_from: u64, fresh_until: u64, stale_until: u64) -> Life {
    Life {
        refresh_from: UnixTime(START + refresh_from),
        fresh_until: UnixTime(START + fresh_until),
        stale_until: UnixTime(START + stale_until),
    }
}

/// Fewer plays than this are not every order.
const LEAST: usize = if cfg!(miri) { 10 } else { 1_000 };

const PLAIN: Scene = Scene {
    requests: if cfg!(miri) { 2 } else { 3 },
    ticks: 2,
    led: false,
    before: None,
    answers: None,
    losses: false,
    peeks: 0,
    panics: 0,
};

#[test]
fn three_requests_and_answers_that_are_not_stored() {
    assert!(play_all(PLAIN) > LEAST);
}

#[test]
fn three_requests_and_answers_that_are_stored() {
    assert!(play_all(Scene { answers: Some(times(1_000, 1_000, 1_000)), ..PLAIN }) > LEAST);
}

#[test]
fn three_requests_and_an_old_token() {
    let before = Some(times(1, 1, 100));
    assert!(play_all(Scene { before, answers: before, ..PLAIN }) > LEAST);
}

#[test]
fn three_requests_and_an_errand_for_a_token_that_grows_old() {
    for before in [times(0, 60, 100), times(0, 60, 60), times(0, 100, 1_000)] {
        assert!(play_all(Scene { before: Some(before), ..PLAIN }) > LEAST);
    }
}

#[test]
fn three_requests_that_all_wait() {
    assert!(play_all(Scene { led: true, ..PLAIN }) > LEAST);
}

#[test]
fn requests_that_look_unwoken() {
    let scene = Scene { peeks: 2, ticks: 1, ..PLAIN };
    assert!(play_all(scene) > LEAST);
}

#[test]
fn three_requests_and_leaders_that_are_lost() {
    let scene = Scene { losses: true, ..PLAIN };
    assert!(play_all(scene) > LEAST);
    let before = Some(times(0, 60, 5_000));
    assert!(play_all(Scene { before, ..scene }) > LEAST);
}

#[test]
fn three_requests_and_a_panic() {
    let scene = Scene { panics: 1, ticks: 1, ..PLAIN };
    assert!(play_all(scene) > LEAST);
}

#[test]
fn two_requests_and_an_errand_and_panics() {
    let scene = Scene { requests: 2, led: true, panics: 2, ..PLAIN };
    assert!(play_all(scene) > LEAST);
}
