//! Programs as processes: what they see of time, threads, processes and chance.

mod lane;

use lane::{run_alone, small};

#[test]
fn an_hour_of_sleep_is_an_hour_of_virtual_time_on_every_clock() {
    let source = r#"
#include <stdio.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
static double now(clockid_t id) { struct timespec t; clock_gettime(id, &t); return t.tv_sec + t.tv_nsec / 1e9; }
int main(void) {
    double real = now(CLOCK_REALTIME), mono = now(CLOCK_MONOTONIC); struct timeval tv; gettimeofday(&tv, 0);
    time_t t = time(0);
    printf("start %ld\n", (long)t);
    sleep(3600);
    struct timeval tv2; gettimeofday(&tv2, 0);
    printf("%.3f %.3f %ld %ld\n", now(CLOCK_REALTIME) - real, now(CLOCK_MONOTONIC) - mono, (long)(tv2.tv_sec - tv.tv_sec), (long)(time(0) - t));
    return 0;
}"#;
    let ran = run_alone(1, &small("hour", source), &[]);
    assert_eq!(ran.result, Ok(()), "{}", ran.output);
    assert_eq!(ran.output, "start 1767225600\n3600.000 3600.000 3600 3600\n");
}
