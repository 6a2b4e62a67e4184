//! How many calls lanes answer, without a network: questions from a worker's event loop to Python processes.
//!
//! `lane_driver LANES IN_FLIGHT SECONDS COMMAND...`: the command, run once for each lane, gets the numbers of four
//! descriptors as its last arguments (jobs, answers, its bell, the worker's bell). Prints calls, seconds, and the CPU
//! time of driver and lanes in ns, parted by blanks.

fn main() {
    #[cfg(target_os = "linux")]
    driver::main();
}

#[cfg(target_os = "linux")]
mod driver {
    use pylos_lane::Job;
    use pylos_proxy::lane::{Ends, Link, choose, now_us};
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
        let number = |at: usize| arguments[at].parse::<usize>().expect("a number");
        let (lanes, in_flight, seconds) = (number(0), number(1), number(2) as u64);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build_local(tokio::runtime::LocalOptions::default())
            .expect("works");
        runtime.block_on(async {
            let (mut links, mut children) = (Vec::new(), Vec::new());
            for _ in 0..lanes {
                let (link, listening, ends) = Link::new(1 << 20).expect("works");
                tokio::task::spawn_local(Rc::clone(&link).run(listening));
                children.push(start(&arguments[3..], &ends));
                link.ask(job(), 0, Duration::MAX).expect("room").await.expect("the lane answers");
                links.push(link);
            }
            let links: Rc<[Rc<Link>]> = links.into();
            let of_lanes = || children.iter().map(|child| cpu(child.id())).sum::<f64>();
            let before = (cpu(std::process::id()), of_lanes());
            let (count, begin) = (Rc::new(Cell::new(0u64)), Instant::now());
            let until = begin + Duration::from_secs(seconds);
            let asking: Vec<_> = (0..in_flight)
                .map(|_| {
                    let (links, count) = (Rc::clone(&links), Rc::clone(&count));
                    tokio::task::spawn_local(async move {
                        loop {
                            let now = now_us();
                            let link = choose(&links, now, |link| link).expect("a lane");
                            let asking = link.ask(job(), now, Duration::MAX).expect("room");
                            asking.await.expect("the lane lives");
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
            let took = begin.elapsed().as_secs_f64();
            let used = (cpu(std::process::id()) - before.0, of_lanes() - before.1);
            println!("{} {took} {} {}", count.get(), used.0, used.1);
            for child in &mut children {
                child.kill().expect("works");
                child.wait().expect("works");
            }
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
