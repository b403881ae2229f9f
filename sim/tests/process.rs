//! Programs as processes: what they see of time, threads, processes and chance.

mod lane;

use causeway_core::time::Instant;
use causeway_sim::guest::Program;
use causeway_sim::process::{Captured, Output, ProcessConfig};
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

/// Runs `program` for several seeds, each twice: the same seed gives the same text and the same hash. The texts.
fn twice(program: &std::path::Path) -> Vec<String> {
    let texts = (1..=6).map(|seed| {
        let (one, other) = (run_alone(seed, program, &[]), run_alone(seed, program, &[]));
        assert_eq!(one.result, Ok(()), "{}", one.output);
        assert_eq!(one.output, other.output, "seed {seed}");
        assert_eq!((one.hash, one.now), (other.hash, other.now), "seed {seed}");
        one.output
    });
    texts.collect()
}

const THREADS: &str = r#"
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static pthread_rwlock_t rw = PTHREAD_RWLOCK_INITIALIZER;
static pthread_barrier_t barrier;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static sem_t sem;
static char order[4096]; static int at, turns;
static void first(void) { order[at++] = '!'; }
static void *body(void *arg) {
    char name = (char)(long)arg;
    pthread_once(&once, first);
    pthread_barrier_wait(&barrier);
    for (int i = 0; i < 20; i++) {
        pthread_mutex_lock(&lock);
        order[at++] = name; turns++;
        pthread_cond_broadcast(&cond);
        struct timespec until; clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += 1000; if (until.tv_nsec >= 1000000000) { until.tv_sec++; until.tv_nsec -= 1000000000; }
        pthread_cond_timedwait(&cond, &lock, &until);
        pthread_mutex_unlock(&lock);
        if (i % 3 == 0) { pthread_rwlock_rdlock(&rw); sched_yield(); pthread_rwlock_unlock(&rw); }
        else { pthread_rwlock_wrlock(&rw); order[at++] = name + 32; pthread_rwlock_unlock(&rw); }
    }
    sem_post(&sem);
    return arg;
}
#include <sched.h>
int main(void) {
    pthread_t threads[4]; void *value;
    pthread_barrier_init(&barrier, 0, 4); sem_init(&sem, 0, 0);
    for (long i = 0; i < 4; i++) if (pthread_create(&threads[i], 0, body, (void *)('A' + i))) return 2;
    for (int i = 0; i < 4; i++) sem_wait(&sem);
    for (int i = 0; i < 4; i++) if (pthread_join(threads[i], &value) || (long)value != 'A' + i) return 3;
    if (turns != 80) return 4;
    puts(order);
    return 0;
}"#;

#[test]
fn threads_take_turns_in_an_order_that_the_seed_alone_decides() {
    let texts = twice(&small("threads", THREADS));
    assert!(
        texts.iter().any(|text| *text != texts[0]),
        "seeds order threads differently: {texts:?}"
    );
}

#[test]
fn processes_fork_run_programs_talk_through_pipes_and_are_waited_for() {
    let source = r#"
#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
extern char **environ;
int main(int argc, char **argv) {
    setvbuf(stdout, 0, _IONBF, 0);
    if (argc > 1) { usleep(1500); printf("image %s of %d from %d at %ld\n", argv[1], getpid(), getppid(), time(0) - 1767225600); return 7; }
    int down[2], up[2], status; char text[64] = "";
    if (pipe(down) || pipe(up)) return 2;
    pid_t child = fork();
    if (child == 0) {
        close(down[1]); ssize_t n = read(down[0], text, sizeof text);
        usleep(100); text[n] = '?'; if (write(up[1], text, n + 1) != n + 1) return 3;
        static char big[200000]; memset(big, 'x', sizeof big);
        if (write(up[1], big, sizeof big) != sizeof big) return 4;
        return 5;
    }
    close(up[1]); close(down[0]);
    sleep(1);
    if (write(down[1], "hello", 5) != 5) return 6;
    long total = 0; ssize_t n;
    n = read(up[0], text, 6); text[n] = 0; printf("heard %s\n", text);
    static char buffer[65536]; while ((n = read(up[0], buffer, sizeof buffer)) > 0) total += n;
    pid_t ended = waitpid(child, &status, 0);
    printf("%ld more; child %d of %d ended with %d\n", total, ended - getpid(), getppid(), WEXITSTATUS(status));
    char *args[] = { argv[0], "spawned", 0 };
    pid_t spawned; if (posix_spawn(&spawned, "/proc/self/exe", 0, 0, args, environ)) return 8;
    printf("waits\n");
    if (wait(&status) != spawned) return 9;
    printf("spawned ended with %d, then %d\n", WEXITSTATUS(status), wait(&status) == -1 && errno == ECHILD);
    printf("system says %d\n", WEXITSTATUS(system("printf piped | cat; exit 3")));
    sleep(1);
    char *again[] = { argv[0], "replaced", 0 }; char *none[] = { 0 };
    execve("/proc/self/exe", again, none);
    return 10;
}"#;
    let program = small("family", source);
    let ran = run_alone(1, &program, &[]);
    assert_eq!(
        ran.output,
        "heard hello?\n200000 more; child 50 of 1 ended with 5\nwaits\n\
         image spawned of 5000100 from 5000000 at 1\nspawned ended with 7, then 1\npipedsystem says 3\n\
         image replaced of 5000000 from 1 at 2\n"
    );
    let error = ran.result.expect_err("the last image returns 7").to_string();
    assert_eq!(error, "guest `lonely` ended with exit code 7");
    let again = run_alone(1, &program, &[]);
    assert_eq!((again.output, again.hash, again.now), (ran.output, ran.hash, ran.now));
}

#[test]
fn chance_comes_from_the_seed_through_every_door() {
    let source = r#"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>
static void show(const char *name, const unsigned char *bytes, long n) {
    printf("%s", name); for (long i = 0; i < n; i++) printf(" %02x", bytes[i]); puts("");
}
int main(void) {
    unsigned char b[12];
    if (getrandom(b, 8, GRND_NONBLOCK) != 8) return 7; show("short", b, 8);
    if (getrandom(b, 8, 0) != 8) return 8; show("eight", b, 8);
    if (getrandom(b, 12, 0) != 12) return 2; show("getrandom", b, 12);
    if (getentropy(b, 12)) return 3; show("getentropy", b, 12);
    if (syscall(SYS_getrandom, b, 12, 0) != 12) return 4; show("raw", b, 12);
    unsigned w = arc4random(); show("arc4random", (unsigned char *)&w, 4);
    int fd = open("/dev/urandom", O_RDONLY); if (read(fd, b, 12) != 12) return 5; show("urandom", b, 12); close(fd);
    FILE *f = fopen("/dev/random", "r"); if (fread(b, 1, 12, f) != 12) return 6; show("random", b, 12);
    show("auxv", (unsigned char *)getauxval(AT_RANDOM), 16);
    void *heap = malloc(10); int local; printf("%p %p %p\n", heap, (void *)&local, (void *)main);
    return 0;
}"#;
    let texts = twice(&small("chance", source));
    for line in 0..9 {
        let lines: std::collections::BTreeSet<&str> =
            texts.iter().map(|text| text.lines().nth(line).expect("a line")).collect();
        assert_eq!(lines.len(), texts.len(), "each seed has its own: {lines:?}");
    }
    let places: Vec<&str> = texts.iter().map(|text| text.lines().nth(9).expect("a line")).collect();
    assert!(places.iter().all(|place| *place == places[0]), "addresses are fixed: {places:?}");
}

#[test]
fn the_time_stamp_counter_is_virtual() {
    let source = r#"
#include <stdio.h>
#include <unistd.h>
#include <x86intrin.h>
int main(void) {
    unsigned long long a = __rdtsc(); usleep(5000); unsigned aux; unsigned long long b = __rdtscp(&aux);
    printf("%d %u\n", (int)((b - a) / 100000), aux);
    return 0;
}"#;
    let texts = twice(&small("counter", source));
    assert!(texts.iter().all(|text| text == "50 0\n"), "{texts:?}");
}

#[test]
fn who_and_where_a_program_is_does_not_change_from_run_to_run() {
    let source = r#"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>
static volatile int heard; static void on(int s) { heard = s; }
int main(int argc, char **argv) {
    char name[64]; gethostname(name, sizeof name);
    signal(SIGUSR1, on); raise(SIGUSR1); int raised = heard; heard = 0; kill(getpid(), SIGUSR1);
    printf("%s %d %d %ld %s %d %d %d\n", name, getpid(), getppid(), syscall(SYS_gettid), getenv("LANG"), getenv("HOME") != 0,
        raised == SIGUSR1, heard == SIGUSR1);
    return argc + (argv[1] == 0);
}"#;
    let ran = run_alone(1, &small("identity", source), &["one", "two"]);
    assert_eq!(ran.output, "lonely-host 5000000 1 5000000 C.UTF-8 0 1 1\n");
    assert_eq!(ran.result.expect_err("3").to_string(), "guest `lonely` ended with exit code 3");
}

#[test]
fn a_system_call_that_cannot_be_ordered_is_named() {
    let source = r#"
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>
int main(int argc, char **argv) {
    puts("before"); fflush(stdout);
    switch (atoi(argv[1])) {
    case 0: timerfd_create(CLOCK_MONOTONIC, 0); break;
    case 1: socket(AF_INET, SOCK_STREAM, 0); break;
    case 2: syscall(SYS_io_uring_setup, 8, 0); break;
    case 3: syscall(999); break;
    }
    return argc - 2;
}"#;
    let program = small("denied", source);
    for (case, name) in [
        ("0", "timerfd_create"),
        ("1", "socket"),
        ("2", "io_uring_setup"),
        ("3", "an unknown system call"),
    ] {
        let ran = run_alone(1, &program, &[case]);
        let error = ran.result.expect_err("it is denied").to_string();
        let said = format!("system call {name} cannot be ordered: ");
        assert!(
            error.starts_with(&format!("guest `lonely` cannot be simulated: {said}")),
            "{error}"
        );
        assert!(ran.output.starts_with("before\ncauseway vtime: "), "{}", ran.output);
        assert!(ran.output.contains(&said), "{}", ran.output);
    }
    assert_eq!(run_alone(1, &program, &["9"]).result, Ok(()), "nothing else is");
}

#[test]
fn a_program_that_crashes_is_reported_with_its_signal() {
    let source = r#"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
static void on(int s, siginfo_t *info, void *context) { (void)context; printf("handled %d at %p\n", s, info->si_addr); fflush(stdout); _exit(0); }
int main(int argc, char **argv) {
    struct sigaction action = { .sa_sigaction = on, .sa_flags = SA_SIGINFO };
    usleep(10);
    switch (atoi(argv[1])) {
    case 0: *(volatile int *)8 = argc; break;
    case 1: abort();
    case 2: kill(getpid(), SIGTERM); break;
    case 3: sigaction(SIGSEGV, &action, 0); *(volatile int *)8 = argc; break;
    }
    return 9;
}"#;
    let program = small("crash", source);
    for (case, signal) in [("0", "11 (SIGSEGV)"), ("1", "6 (SIGABRT)"), ("2", "15 (SIGTERM)")] {
        let ran = run_alone(1, &program, &[case]);
        let error = ran.result.expect_err("it dies").to_string();
        assert!(
            error.starts_with(&format!("guest `lonely` was killed by signal {signal} after ")),
            "{error}"
        );
    }
    let ran = run_alone(1, &program, &["3"]);
    assert_eq!((ran.result, ran.output.as_str()), (Ok(()), "handled 11 at 0x8\n"));
}

#[test]
fn threads_that_wait_for_each_other_are_a_deadlock_with_their_names() {
    let source = r#"
#include <pthread.h>
#include <unistd.h>
static pthread_mutex_t a = PTHREAD_MUTEX_INITIALIZER, b = PTHREAD_MUTEX_INITIALIZER;
static void *other(void *x) { pthread_mutex_lock(&b); usleep(1000); pthread_mutex_lock(&a); return x; }
int main(void) {
    pthread_t t; pthread_mutex_lock(&a); pthread_create(&t, 0, other, 0); usleep(500);
    pthread_mutex_lock(&b); return 0;
}"#;
    let ran = run_alone(1, &small("deadlock", source), &[]);
    let error = ran.result.expect_err("nobody gets on").to_string();
    assert!(error.starts_with("deadlock at 0.001"), "{error}");
    assert!(
        error.contains("`lonely` on host lonely-host: in futex, waiting since 0.001"),
        "{error}"
    );
    assert!(error.ends_with("without a deadline; thread 0 in futex; thread 1 in futex"), "{error}");
}

#[test]
fn a_program_that_computes_for_ever_is_killed_and_named() {
    let program = small(
        "spin",
        "#include <unistd.h>\nint main(void) { usleep(1); for (volatile int i = 0;; i++); }",
    );
    let (mut world, host) = lane::limited_world(1, std::time::Duration::from_millis(300));
    let config = ProcessConfig::new(program, lane::preload());
    world.add_guest(host, "spinner", Instant::ZERO, Program::Process(config)).expect("it starts");
    let error = world.run().expect_err("it never comes back").to_string();
    assert_eq!(error, "guest `spinner` has not come back to the simulator after clock_nanosleep");
}

#[test]
fn a_loop_that_looks_at_the_clock_gets_on() {
    let source = r#"
#include <time.h>
static long now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec * 1000000000L + t.tv_nsec; }
int main(void) { long end = now() + 2000000; while (now() < end); return 0; }"#;
    let ran = run_alone(1, &small("spins", source), &[]);
    assert_eq!(ran.result, Ok(()));
    assert!(ran.now >= Instant::from_nanos(2_000_000), "{}", ran.now);
}

#[test]
fn twenty_processes_of_one_world_run_in_one_order() {
    let source = r#"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/random.h>
int main(int argc, char **argv) {
    setvbuf(stdout, 0, _IONBF, 0);
    for (int i = 0; i < 10; i++) {
        unsigned short span; if (getrandom(&span, sizeof span, 0) != sizeof span) return 2;
        usleep(span % 1000); printf("%s%d ", argv[1], i);
    }
    return argc - 2;
}"#;
    let program = small("many", source);
    let run = |seed| {
        let (mut world, host) = lane::lone_world(seed);
        let captured = Captured::new().expect("a memory file");
        for index in 0..20_u8 {
            let name = char::from(b'a' + index).to_string();
            let config = ProcessConfig::new(&program, lane::preload())
                .arguments([name.clone()])
                .output(Output::Captured(captured.clone()));
            world
                .add_guest(host, &name, Instant::ZERO, Program::Process(config))
                .expect("it starts");
        }
        world.run().expect("all of them finish");
        (captured.text(), world.state_hash())
    };
    let first = run(1);
    assert_eq!(first.0.split_whitespace().count(), 200, "{}", first.0);
    assert_eq!(run(1), first);
    assert_ne!(run(2).0, first.0);
}

#[test]
fn signals_between_processes_arrive_in_their_turn() {
    let source = r#"
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
static volatile int terms, children, users;
static void on(int s) { if (s == SIGTERM) terms++; else if (s == SIGCHLD) children++; else users++; }
static void *sleeper(void *x) { struct timespec t = { 5, 0 }; return nanosleep(&t, 0) == -1 && errno == EINTR ? (void *)0 : x; }
int main(void) {
    setvbuf(stdout, 0, _IONBF, 0);
    signal(SIGTERM, on); signal(SIGCHLD, on); signal(SIGUSR1, on);
    pid_t handles = fork();
    if (handles == 0) { int r = pause(); printf("child %d %d\n", r, terms); _exit(4); }
    pid_t dies = fork();
    if (dies == 0) { signal(SIGTERM, SIG_DFL); for (;;) sleep(100); }
    pid_t killed = fork();
    if (killed == 0) for (;;) sleep(100);
    usleep(1000);
    sigset_t block, none; sigemptyset(&none); sigemptyset(&block); sigaddset(&block, SIGCHLD);
    sigprocmask(SIG_BLOCK, &block, 0);
    if (kill(handles, SIGTERM) || kill(dies, SIGTERM) || kill(killed, SIGKILL) || kill(handles + 7, 0) != -1) { printf("errno %d\n", errno); return 2; }
    int seen = children; struct timespec t = { 1, 0 };
    int r = ppoll(0, 0, &t, &none); printf("ppoll %d %d, children %d then %d\n", r, errno == EINTR, seen, children > 0);
    sigaddset(&block, SIGUSR1); sigprocmask(SIG_BLOCK, &block, 0);
    if (fork() == 0) { usleep(3000); kill(getppid(), SIGUSR1); _exit(0); }
    while (users == 0) sigsuspend(&none);
    sigprocmask(SIG_SETMASK, &none, 0);
    children = 0; if (fork() == 0) { usleep(3000); _exit(0); }
    r = pause(); printf("pause %d, children %d\n", r, children);
    int status, ends[3]; 
    waitpid(handles, &status, 0); ends[0] = WEXITSTATUS(status);
    waitpid(dies, &status, 0); ends[1] = WTERMSIG(status);
    waitpid(killed, &status, 0); ends[2] = WTERMSIG(status);
    printf("ends %d %d %d, own terms %d\n", ends[0], ends[1], ends[2], terms);
    pthread_t thread; void *result = (void *)1; pthread_create(&thread, 0, sleeper, (void *)1); usleep(10);
    pthread_kill(thread, SIGUSR1); pthread_join(thread, &result); printf("interrupted %d, handled %d\n", result == 0, users);
    int pair[2]; socketpair(AF_UNIX, SOCK_STREAM, 0, pair); struct timeval limit = { 2, 0 }; char c;
    setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    r = recv(pair[0], &c, 1, 0); printf("patience %d %d\n", r, errno == EAGAIN);
    return 0;
}"#;
    let ran = run_alone(1, &small("signals", source), &[]);
    assert_eq!(ran.result, Ok(()), "{}", ran.output);
    assert_eq!(
        ran.output,
        "child -1 1\nppoll -1 1, children 0 then 1\npause -1, children 1\nends 4 15 9, own terms 0\ninterrupted 1, handled 2\npatience -1 1\n"
    );
}

/// A program that tells its real number and that of a child, then waits for ever, or computes.
const STAYS: &str = r#"
#include <string.h>
#include <unistd.h>
static void tell(void) {
    char real[32]; ssize_t n = readlink("/proc/self", real, sizeof real - 1);
    real[n] = '\n'; if (write(1, real, n + 1) < 0) _exit(2);
}
int main(int argc, char **argv) {
    (void)argc;
    if (fork() == 0) { tell(); for (;;) pause(); }
    tell(); usleep(10);
    if (!strcmp(argv[1], "spin")) for (;;) ;
    for (;;) sleep(1000);
}"#;

fn alive(text: &str) -> Vec<&str> {
    let there = |pid: &&str| {
        let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // What nobody has waited for is there, and dead.
        !state.is_empty() && !state.contains(") Z ")
    };
    text.split_whitespace().filter(there).collect()
}

#[test]
fn nothing_is_left_when_a_world_is_dropped() {
    let (mut world, host) = lane::lone_world(1);
    let captured = Captured::new().expect("a memory file");
    let config = ProcessConfig::new(small("stays", STAYS), lane::preload())
        .arguments(["wait"])
        .output(Output::Captured(captured.clone()));
    world.add_guest(host, "stays", Instant::ZERO, Program::Process(config)).expect("it starts");
    world.run_until(Instant::from_nanos(1_000_000_000)).expect("nothing fails");
    let text = captured.text();
    assert_eq!(alive(&text).len(), 2, "{text}");
    drop(world);
    wait_until_gone(&text);
}

/// The kernel ends processes when it gets to it; after twenty thousand looks it will not.
fn wait_until_gone(text: &str) {
    for _ in 0..20_000 {
        if alive(text).is_empty() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    panic!("left: {:?}", alive(text));
}

/// Where the simulator that is to be killed writes what its guests say.
const VICTIM_VARIABLE: &str = "CAUSEWAY_LANE_VICTIM";

#[test]
fn nothing_is_left_when_the_simulator_is_killed() {
    if let Some(path) = std::env::var_os(VICTIM_VARIABLE) {
        let (mut world, host) = lane::lone_world(1);
        let captured = Captured::new().expect("a memory file");
        let mut config = ProcessConfig::new(std::path::PathBuf::from(&path), lane::preload());
        config = config.arguments(["wait"]).output(Output::Captured(captured.clone()));
        world
            .add_guest(host, "waits", Instant::ZERO, Program::Process(config.clone()))
            .expect("it starts");
        config = config.arguments(["spin"]);
        world
            .add_guest(host, "spins", Instant::from_nanos(5), Program::Process(config))
            .expect("it starts");
        world.run_until(Instant::from_nanos(1_000)).expect("nothing fails");
        std::thread::spawn(move || {
            while captured.text().lines().count() < 4 {
                std::thread::yield_now();
            }
            std::fs::write(
                std::path::PathBuf::from(path).with_extension("pids"),
                captured.text() + "end\n",
            )
            .expect("it can be written");
        });
        let _ = world.run();
        return;
    }
    let program = small("stays-killed", STAYS);
    let pids = program.with_extension("pids");
    let name = "nothing_is_left_when_the_simulator_is_killed";
    let mut simulator = std::process::Command::new(std::env::current_exe().expect("this test"))
        .args([name, "--exact"])
        .env(VICTIM_VARIABLE, &program)
        .stdout(std::process::Stdio::null())
        .spawn()
        .expect("it starts");
    let text = loop {
        match std::fs::read_to_string(&pids) {
            Ok(text) if text.ends_with("end\n") => break text.replace("end\n", ""),
            _ => assert!(simulator.try_wait().expect("ours").is_none(), "it ended by itself"),
        }
        std::thread::yield_now();
    };
    assert_eq!(alive(&text).len(), 4, "{text}");
    simulator.kill().expect("it runs");
    simulator.wait().expect("ours");
    wait_until_gone(&text);
}

#[test]
fn without_a_world_the_preload_object_does_nothing() {
    let program = small(
        "plain",
        "#include <stdio.h>\n#include <time.h>\nint main(void) { printf(\"%d\\n\", time(0) > 1000); }",
    );
    let output = std::process::Command::new(program).env("LD_PRELOAD", lane::preload()).output();
    let output = output.expect("it runs");
    assert_eq!(
        (output.status.code(), &output.stdout[..], &output.stderr[..]),
        (Some(0), &b"1\n"[..], &b""[..])
    );
}

#[test]
fn a_thread_that_has_ended_is_joined_at_once() {
    let source = r#"
#include <pthread.h>
#include <time.h>
static void *body(void *x) { struct timespec t = { 0, 1000 }; nanosleep(&t, 0); return x; }
int main(void) {
    for (long i = 0; i < 500; i++) {
        pthread_t a, b; void *x, *y;
        if (pthread_create(&a, 0, body, (void *)i) || pthread_create(&b, 0, body, (void *)~i)) return 2;
        if (pthread_join(a, &x) || pthread_join(b, &y) || (long)x != i || (long)y != ~i) return 3;
    }
    pthread_t last; if (pthread_create(&last, 0, body, 0)) return 4;
    pthread_exit(0);
}"#;
    let program = small("joins", source);
    let (one, other) = (run_alone(1, &program, &[]), run_alone(1, &program, &[]));
    assert_eq!((one.result, other.result), (Ok(()), Ok(())));
    assert_eq!((one.hash, one.now), (other.hash, other.now));
}

#[test]
fn a_program_that_cannot_be_started_is_an_error_that_says_why() {
    let (mut world, host) = lane::lone_world(1);
    let directory = lane::scratch();
    let start = |world: &mut causeway_sim::world::World, config: ProcessConfig| {
        world.add_guest(host, "guest", Instant::ZERO, Program::Process(config))
    };
    let missing = start(&mut world, ProcessConfig::new(directory.join("nothing"), lane::preload()));
    let text = missing.expect_err("it is not there").to_string();
    assert!(text.contains("nothing: No such file"), "{text}");
    let program = lane::small_with("static", "int main(void) { return 0; }", &["-static"]);
    let linked = start(&mut world, ProcessConfig::new(program, lane::preload()));
    let text = linked.expect_err("it is static").to_string();
    assert!(
        text.ends_with("is linked statically: the preload object cannot be loaded into it"),
        "{text}"
    );
    let program = small("dynamic", "int main(void) { return 0; }");
    let object = directory.join("no-object.so");
    std::fs::write(&object, "no ELF").expect("it can be written");
    let captured = Captured::new().expect("a memory file");
    let config = ProcessConfig::new(program, object).output(Output::Captured(captured.clone()));
    start(&mut world, config).expect("that shows when it runs");
    let error = world.run().expect_err("it says no hello").to_string();
    assert_eq!(
        error,
        "guest `guest` cannot be simulated: it ended before its first instruction: see its standard error"
    );
    assert!(captured.text().contains("cannot be preloaded"), "{}", captured.text());
}

#[test]
fn programs_in_cpp_and_rust_wait_for_their_threads_in_the_same_way() {
    let cpp = r#"
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <future>
#include <mutex>
#include <string>
#include <thread>
#include <vector>
int main() {
    std::mutex lock; std::condition_variable changed; std::string order; std::vector<std::thread> threads;
    for (int i = 0; i < 4; i++) threads.emplace_back([&, i] {
        for (int round = 0; round < 10; round++) {
            std::unique_lock<std::mutex> held(lock);
            order += char('A' + i); changed.notify_one();
            changed.wait_for(held, std::chrono::microseconds(3));
        }
    });
    for (auto &thread : threads) thread.join();
    auto start = std::chrono::steady_clock::now();
    auto answer = std::async(std::launch::async, [] { std::this_thread::sleep_for(std::chrono::hours(1)); return 42; });
    int value = answer.get();
    auto hours = std::chrono::duration_cast<std::chrono::hours>(std::chrono::steady_clock::now() - start).count();
    std::printf("%s %d %ld\n", order.c_str(), value, (long)hours);
}"#;
    let rust = r#"
use std::collections::HashMap;
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};
fn main() {
    let start = Instant::now();
    let (tell, hear) = mpsc::channel();
    let log = Arc::new(Mutex::new(String::new()));
    let threads: Vec<_> = (0..4_u8).map(|name| {
        let (tell, log) = (tell.clone(), Arc::clone(&log));
        thread::spawn(move || for round in 0..10_u64 {
            log.lock().unwrap().push((b'A' + name) as char);
            thread::sleep(Duration::from_nanos(300 * (round % 2)));
            tell.send(name).unwrap();
        })
    }).collect();
    drop(tell);
    let heard: Vec<u8> = hear.iter().collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    let map: HashMap<u32, ()> = (0..8).map(|key| (key, ())).collect();
    thread::sleep(Duration::from_secs(7));
    println!("{} {heard:?} {:?} {}", log.lock().unwrap(), map.keys().collect::<Vec<_>>(), start.elapsed().as_secs());
}"#;
    let build = |compiler: &str, name: &str, extension: &str, source: &str, arguments: &[&str]| {
        let file = lane::scratch().join(format!("{name}.{extension}"));
        let program = file.with_extension("");
        std::fs::write(&file, source).expect("it can be written");
        let mut command = std::process::Command::new(compiler);
        let status = command.args(arguments).arg("-o").arg(&program).arg(&file).status();
        assert!(status.expect("the compiler is there").success());
        program
    };
    let texts = twice(&build("c++", "language-cpp", "cc", cpp, &["-std=c++17", "-O1", "-pthread"]));
    assert!(texts.iter().all(|text| text.ends_with(" 42 1\n")), "{texts:?}");
    assert!(texts.iter().any(|text| *text != texts[0]), "{texts:?}");
    let texts = twice(&build("rustc", "language_rust", "rs", rust, &["--edition", "2024"]));
    assert!(texts.iter().all(|text| text.ends_with(" 7\n")), "{texts:?}");
    assert!(texts.iter().any(|text| *text != texts[0]), "{texts:?}");
}
