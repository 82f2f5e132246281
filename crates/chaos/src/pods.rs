//! Consumer processes: started, claimed by one fault at a time, watched.
//!
//! Contract: a pod ends only if a fault or the round's end wants it to; one that ends
//! by itself is a finding. The kernel ends all of them with this process, stopped
//! ones too.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};
use tidegate_kafka::PodReport;

use crate::main_thread::MainThread;

/// A consumer process.
pub(crate) struct Pod {
    pub(crate) name: String,
    pub(crate) pid: u32,
    child: Mutex<Child>,
    report: Arc<Mutex<Option<PodReport>>>,
    /// A fault works on it.
    claimed: AtomicBool,
    /// It is meant to end.
    ending: AtomicBool,
    log: PathBuf,
}

impl Pod {
    /// What it last said about itself.
    pub(crate) fn report(&self) -> Option<PodReport> {
        lock(&self.report).clone()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        if signal == Signal::KILL || signal == Signal::TERM {
            self.ending.store(true, SeqCst);
        }
        send(self.pid, signal);
    }

    /// How it ended, once it has.
    pub(crate) fn ended(&self) -> Option<ExitStatus> {
        lock(&self.child).try_wait().ok().flatten()
    }

    /// Whether the kernel has stopped it.
    pub(crate) fn is_stopped(&self) -> bool {
        state(self.pid) == Some('T')
    }

    /// The last line of its log that tells of trouble.
    pub(crate) fn last_words(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let line = text.lines().rfind(|line| !line.trim().is_empty());
        line.unwrap_or("it wrote no log").to_owned()
    }
}

/// A pod that no other fault touches while this lives.
pub(crate) struct Claim(pub(crate) Arc<Pod>);

impl Drop for Claim {
    fn drop(&mut self) {
        self.0.claimed.store(false, SeqCst);
    }
}

/// The pods of a round.
pub(crate) struct Pods {
    main: MainThread,
    binary: PathBuf,
    arguments: Vec<String>,
    directory: PathBuf,
    started: AtomicU32,
    running: Mutex<Vec<Arc<Pod>>>,
    /// Totals of pods that are gone.
    fenced: Mutex<u64>,
}

impl Pods {
    /// None yet; each will be `binary arguments`, with its log in `directory`.
    pub(crate) fn new(
        main: MainThread,
        binary: &Path,
        arguments: Vec<String>,
        directory: PathBuf,
    ) -> anyhow::Result<Self> {
        std::fs::create_dir_all(&directory)?;
        Ok(Self {
            main,
            binary: binary.to_owned(),
            arguments,
            directory,
            started: AtomicU32::new(0),
            running: Mutex::default(),
            fenced: Mutex::default(),
        })
    }

    /// Starts one more.
    pub(crate) fn start(&self) -> anyhow::Result<Arc<Pod>> {
        let name = format!("pod-{}", self.started.fetch_add(1, SeqCst) + 1);
        let log = self.directory.join(format!("{name}.log"));
        let mut command = guarded(&self.binary)?;
        command
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(&log).with_context(|| log.display().to_string())?);
        let mut child = self.main.spawn(command)?;
        let stdout = child.stdout.take().context("a pod without stdout")?;
        let report = Arc::default();
        read_reports(stdout, Arc::clone(&report))?;
        let pod = Arc::new(Pod {
            name,
            pid: child.id(),
            child: Mutex::new(child),
            report,
            claimed: AtomicBool::new(false),
            ending: AtomicBool::new(false),
            log,
        });
        lock(&self.running).push(Arc::clone(&pod));
        Ok(pod)
    }

    /// One of those that nobody works on, by a number taken modulo them.
    pub(crate) fn claim(&self, index: u32) -> Option<Claim> {
        self.claim_of(|free| free.get(index as usize % free.len().max(1)))
    }

    /// The one that was started last.
    pub(crate) fn claim_youngest(&self) -> Option<Claim> {
        self.claim_of(<[_]>::last)
    }

    fn claim_of(
        &self,
        choose: impl for<'a> FnOnce(&'a [Arc<Pod>]) -> Option<&'a Arc<Pod>>,
    ) -> Option<Claim> {
        let running = lock(&self.running);
        let is_free = |pod: &&Arc<Pod>| {
            let is_at_rest = !pod.claimed.load(SeqCst) && !pod.ending.load(SeqCst);
            is_at_rest && pod.ended().is_none()
        };
        let free: Vec<Arc<Pod>> = running.iter().filter(is_free).cloned().collect();
        let pod = choose(&free)?;
        pod.claimed.store(true, SeqCst);
        Some(Claim(Arc::clone(pod)))
    }

    /// Forgets a pod that has ended.
    pub(crate) fn forget(&self, pod: &Pod) {
        *lock(&self.fenced) += pod.report().map_or(0, |report| report.fenced_total);
        lock(&self.running).retain(|running| running.pid != pod.pid);
    }

    pub(crate) fn all(&self) -> Vec<Arc<Pod>> {
        lock(&self.running).clone()
    }

    pub(crate) fn started(&self) -> u32 {
        self.started.load(SeqCst)
    }

    /// Writes that were refused because another owner was ahead.
    pub(crate) fn fenced(&self) -> u64 {
        let now =
            self.all().into_iter().filter_map(|pod| pod.report()).map(|report| report.fenced_total);
        *lock(&self.fenced) + now.sum::<u64>()
    }

    /// A pod that has ended by itself.
    pub(crate) fn unexpected_end(&self) -> Option<String> {
        let ended = |pod: &Arc<Pod>| {
            let status = pod.ended().filter(|_| !pod.ending.load(SeqCst))?;
            Some(format!("{} ended by itself with {status}: {}", pod.name, pod.last_words()))
        };
        self.all().iter().find_map(ended)
    }
}

impl Drop for Pods {
    fn drop(&mut self) {
        for pod in self.all() {
            pod.signal(Signal::KILL);
            let _ = lock(&pod.child).wait();
        }
    }
}

/// A command that the kernel ends when this process ends.
pub(crate) fn guarded(program: &Path) -> anyhow::Result<Command> {
    use std::os::unix::process::CommandExt as _;
    let mut command = Command::new(std::env::current_exe().context("own path")?);
    command
        .arg("exec-guarded")
        .arg(format!("--parent={}", std::process::id()))
        .arg("--")
        .arg(program)
        .process_group(0);
    Ok(command)
}

pub(crate) fn send(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, signal);
    }
}

/// The state letter of a process, as `ps` shows it.
pub(crate) fn state(pid: u32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.trim_start().chars().next()
}

fn read_reports(stdout: ChildStdout, report: Arc<Mutex<Option<PodReport>>>) -> anyhow::Result<()> {
    std::thread::Builder::new().name("reports".into()).stack_size(128 * 1024).spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if let Ok(now) = serde_json::from_str(&line) {
                *lock(&report) = Some(now);
            }
        }
    })?;
    Ok(())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
