//! A broker of a test's own: any listeners, ended and started again at will.

#![allow(dead_code)]

use std::path::PathBuf;
use std::sync::mpsc::{Sender, channel};

use tidegate_local::broker::{Broker, BrokerOptions, Distribution};

type Job = Box<dyn FnOnce() + Send>;

/// A node on 127.0.0.1; ends with the value, or with the test process.
pub(crate) struct TestBroker {
    /// Absent only while its thread works on it.
    broker: Option<Broker>,
    bootstrap: String,
    directory: tempfile::TempDir,
    /// The parent-death signal comes when the thread that spawned ends.
    thread: Sender<Job>,
}

impl TestBroker {
    /// With short sessions, and what the options say on top.
    pub(crate) fn start(directory: tempfile::TempDir, options: BrokerOptions) -> Self {
        let distribution = Distribution::find(&mut |_| {}).expect("Kafka is provisioned");
        let mut settings = vec![("group.consumer.session.timeout.ms".into(), "4000".into())];
        settings.extend(options.settings);
        let options = BrokerOptions {
            settings,
            guard: Some(PathBuf::from(env!("CARGO_BIN_EXE_tidegate"))),
            ..options
        };
        let thread = spawn_thread();
        let path = directory.path().to_owned();
        let broker = call(&thread, move || Broker::start_with(&distribution, &path, &options));
        let broker = broker.unwrap_or_else(|error| panic!("{error}"));
        let bootstrap = broker.bootstrap().to_owned();
        Self { broker: Some(broker), bootstrap, directory, thread }
    }

    /// The stock one, with short sessions.
    pub(crate) fn plain() -> Self {
        Self::start(tempfile::tempdir().expect("directory"), BrokerOptions::default())
    }

    /// The plain listener.
    pub(crate) fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    pub(crate) fn broker(&mut self) -> &mut Broker {
        self.broker.as_mut().expect("no job is running")
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("server.log")).unwrap_or_default()
    }

    /// SIGTERM, and waits.
    pub(crate) fn stop(&mut self) {
        self.broker().shut_down();
    }

    /// Starts on the same ports and data, and waits until it answers.
    pub(crate) fn start_again(&mut self) {
        let mut broker = self.broker.take().expect("no job is running");
        let (broker, started) = call(&self.thread, move || {
            let started = broker.start_again().and_then(|()| broker.wait_ready());
            (broker, started)
        });
        self.broker = Some(broker);
        started.unwrap_or_else(|error| panic!("{error}"));
    }
}

/// A thread that lives as long as the process, or the broker.
fn spawn_thread() -> Sender<Job> {
    let (sender, jobs) = channel::<Job>();
    std::thread::spawn(move || jobs.into_iter().for_each(|job| job()));
    sender
}

fn call<T: Send + 'static>(thread: &Sender<Job>, job: impl FnOnce() -> T + Send + 'static) -> T {
    let (answer, answered) = channel();
    let job = Box::new(move || drop(answer.send(job())));
    thread.send(job).expect("the thread lives");
    answered.recv().expect("the thread lives")
}

/// Ports nobody listens on now.
pub(crate) fn free_ports<const N: usize>() -> [u16; N] {
    tidegate_ports::free().expect("free ports")
}
