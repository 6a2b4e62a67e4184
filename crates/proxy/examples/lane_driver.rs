//! How many calls a lane answers, without a network: questions from a worker's event loop to a Python process.
//!
//! `lane_driver IN_FLIGHT SECONDS COMMAND...`: the command gets the numbers of four descriptors as its last arguments
//! (jobs, answers, its bell, the worker's bell).

fn main() {
    #[cfg(target_os = "linux")]
    driver::main();
}

#[cfg(target_os = "linux")]
mod driver {
    use pylos_lane::Job;
    use pylos_proxy::lane::{Ends, Link};
    use rustix::io::{FdFlags, fcntl_setfd};
    use std::cell::Cell;
    use std::os::fd::{AsFd, AsRawFd};
    use std::process::Command;
    use std::rc::Rc;
    use std::time::{Duration, Instant};

    const FIELDS: &[u8] =
        b"host: shop.example.com\r\nuser-agent: wrk\r\naccept: */*\r\nx-tenant: acme\r\ncookie: a=1\r\n";

    #[expect(clippy::print_stdout, reason = "it is what the program is for")]
    pub(super) fn main() {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        let (in_flight, seconds) =
            (arguments[0].parse::<usize>().expect("works"), arguments[1].parse::<u64>().expect("works"));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build_local(tokio::runtime::LocalOptions::default())
            .expect("works");
        runtime.block_on(async {
            let (link, listening, ends) = Link::new(1 << 20).expect("works");
            tokio::task::spawn_local(Rc::clone(&link).run(listening));
            let mut child = start(&arguments[2..], &ends);
            link.ask(job()).expect("room").await.expect("the lane answers");
            let before = (cpu(std::process::id()), cpu(child.id()));
            let (count, begin) = (Rc::new(Cell::new(0u64)), Instant::now());
            let until = begin + Duration::from_secs(seconds);
            let asking: Vec<_> = (0..in_flight)
                .map(|_| {
                    let (link, count) = (Rc::clone(&link), Rc::clone(&count));
                    tokio::task::spawn_local(async move {
                        loop {
                            link.ask(job()).expect("room").await.expect("the lane lives");
                            count.set(count.get() + 1);
                            if count.get().is_multiple_of(64) && Instant::now() > until {
                                return;
                            }
                        }
                    })
                })
                .collect();
            for task in asking {
                task.await.expect("works");
            }
            let (calls, took) = (count.get() as f64, begin.elapsed());
            let used = (cpu(std::process::id()) - before.0, cpu(child.id()) - before.1);
            println!(
                "{in_flight} in flight: {:.0} calls/s, {:.2} us a call, CPU {:.2} us driver, {:.2} us lane",
                calls / took.as_secs_f64(),
                took.as_secs_f64() * 1e6 / calls * in_flight as f64,
                used.0 / calls / 1e3,
                used.1 / calls / 1e3,
            );
            child.kill().expect("works");
            child.wait().expect("works");
        });
    }

    fn job() -> Job<'static> {
        Job {
            method: b"GET",
            scheme: b"http",
            host: b"shop.example.com",
            path: b"/orders/7",
            client_ip: b"10.1.2.3",
            client_id: b"ip:10.1.2.3",
            request_id: b"0123456789abcdef0123456789abcdef",
            route: b"orders",
            fields: FIELDS,
            ..Job::default()
        }
    }

    fn start(command: &[String], ends: &Ends) -> std::process::Child {
        let inherited: [&dyn AsFd; 4] = [&ends.jobs, &ends.answers, &ends.bell, &ends.back];
        let mut program = Command::new(&command[0]);
        program.args(&command[1..]);
        for end in inherited {
            fcntl_setfd(end.as_fd(), FdFlags::empty()).expect("works");
            program.arg(end.as_fd().as_raw_fd().to_string());
        }
        program.spawn().expect("works")
    }

    /// Nanoseconds that a process has run.
    fn cpu(pid: u32) -> f64 {
        let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).expect("works");
        let of = |task: std::io::Result<std::fs::DirEntry>| {
            let text =
                std::fs::read_to_string(task.expect("works").path().join("schedstat")).unwrap_or_default();
            text.split(' ').next().and_then(|first| first.parse::<f64>().ok()).unwrap_or_default()
        };
        tasks.map(of).sum()
    }
}
