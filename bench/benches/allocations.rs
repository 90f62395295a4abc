//! How often each job takes heap memory, as JSON: one object a line, with `name` and `allocations`,
//! which are those of one run.

use allocation_counter::measure;
use pintle_bench::jobs;
use serde_json::json;

/// How often a job is done: what grows with the number of runs shows too.
const RUNS: u32 = 1_000;

fn main() {
    for job in jobs::all() {
        let mut run = job.run();
        let info = measure(|| {
            for _ in 0..RUNS {
                run.once();
            }
        });
        let name = format!("{}/{}", job.filter(), job.case());
        let allocations = info.count_total as f64 / f64::from(RUNS);
        println!("{}", json!({"name": name, "allocations": allocations}));
    }
}
