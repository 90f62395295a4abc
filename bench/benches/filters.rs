//! How long each job takes.

use std::time::Duration;

use criterion::{Criterion, SamplingMode};
use pintle_bench::jobs;

const WARM_UP: Duration = Duration::from_millis(500);
const MEASUREMENT: Duration = Duration::from_secs(2);
const SAMPLES: usize = 50;
/// Of the analysis that Criterion prints; the samples are what counts.
const RESAMPLES: usize = 10_000;

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(WARM_UP)
        .measurement_time(MEASUREMENT)
        .sample_size(SAMPLES)
        .nresamples(RESAMPLES)
        .without_plots()
        .configure_from_args();
    for job in jobs::all() {
        let mut group = criterion.benchmark_group(job.filter());
        // Every sample is of the same number of runs, so that all weigh the same.
        group.sampling_mode(SamplingMode::Flat);
        group.bench_function(job.case(), |bencher| {
            let mut run = job.run();
            bencher.iter(|| run.once());
        });
        group.finish();
    }
    criterion.final_summary();
}
