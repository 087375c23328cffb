"""The host: files, environment, processes, sockets, kernel surfaces, mounts and devices."""

from __future__ import annotations

from tests.attacks.scene import Attack

CALL = """
libc = ctypes.CDLL(None, use_errno=True)

def call(number, *arguments):
    if libc.syscall(number, *arguments) < 0:
        raise OSError(ctypes.get_errno(), 'refused')
"""
LOCAL = ("local",)


def _host(name: str, tries: str, attempt: str, lets_through: tuple[str, ...] = LOCAL, top: str = CALL) -> Attack:
    return Attack(name=name, family="host", tries=tries, attempt=attempt, top=top, lets_through=lets_through)


HOST = (
    # --- files
    _host("secret-file", "read a file of the host's", "open('$secret').read()"),
    _host("label-file", "read the labels where the judge keeps them", "np.load('$labels')"),
    Attack(
        name="label-file-answers",
        family="host",
        tries="answer with the labels from the judge's file",
        predict="return np.load('$labels').astype(np.float32)",
        right=("failed",),
        lets_through=LOCAL,
    ),
    _host("shadow", "read the host's passwords", "open('/etc/shadow').read()"),
    _host("passwd", "read the host's users", "assert 'root' in open('/etc/passwd').read()"),
    _host("home", "list the user's home", "assert len(os.listdir('$home')) == $home_entries"),
    _host("checkout", "read the judge's own code", "os.listdir('$root/evaluations')"),
    _host("traversal", "leave the data folder by ..", "open(str(self.data) + '/../secret.txt').read()"),
    _host(
        "symlink", "read a secret through a link of its own", "os.symlink('$secret', 'link'); open('link').read()"
    ),
    _host("hardlink", "link to the data so as to change it", "os.link(str(self.data / 'features.npy'), 'mine')"),
    _host("write-data", "change the training data", "open(str(self.data / 'features.npy'), 'r+b')"),
    _host("chmod-data", "change the rights of the data", "os.chmod(str(self.data / 'features.npy'), 0o600)"),
    _host("unlink-data", "remove the training data", "os.unlink(str(self.data / 'spare.npy'))"),
    _host("write-interpreter", "change the standard library", "open(os.__file__, 'r+b')"),
    _host("write-numpy", "change numpy for the next candidate", "open(np.__file__, 'r+b')"),
    _host("pth-file", "plant a .pth file", "os.open(os.path.dirname(np.__path__[0]), os.O_TMPFILE | os.O_WRONLY)"),
    _host("drop", "leave a file on the host", "open('$drop', 'w').write('x')"),
    _host("drop-tmp", "leave a file in the host's /tmp and see it there", "open('$folder/dropped2', 'w').write('x')"),
    _host(
        "inherited-files",
        "use a file that the orchestrator left open",
        "names = [os.readlink(f'/proc/self/fd/{n}') for n in os.listdir('/proc/self/fd') if int(n) > 2]\n"
        "assert any(n.startswith('/') and not n.startswith(('/proc', '/dev', '/tmp', '/data')) for n in names)",
    ),
    _host("memory-file", "make a file in memory, which the noexec scratch does not reach", "os.memfd_create('x')"),
    # --- environment and processes
    _host("environment", "find a key in the environment", "os.environ['EVOLVE_SECRET']"),
    _host(
        "parent-environment",
        "read the orchestrator's environment",
        "assert b'EVOLVE_SECRET' in open('/proc/$pid/environ', 'rb').read()",
    ),
    _host("init-environment", "read process 1's environment", "assert open('/proc/1/environ', 'rb').read(1) and os.readlink('/proc/self/ns/pid') == 'pid:[$pids]'"),
    _host("parent-memory", "read the orchestrator's memory", "open('/proc/$pid/mem', 'rb').read(1)"),
    _host("parent-root", "reach the host's root through a process", "os.listdir('/proc/$pid/root/root')"),
    _host(
        "init-root", "reach files through process 1", "assert 'secret' in str(os.listdir('/proc/1/root$folder'))"
    ),
    _host("command-lines", "read other processes' command lines", "open('/proc/$pid/cmdline').read()"),
    _host("kill-parent", "signal the orchestrator", "os.kill($pid, 0)"),
    _host("kill-all", "kill every process that it may", "os.kill(-1, 0)"),
    _host("ptrace", "trace the orchestrator", "call(101, 16, $pid, 0, 0)"),
    _host("process-vm", "read another process's memory", "call(310, $pid, 0, 0, 0, 0, 0)"),
    _host("pidfd", "take a descriptor of the orchestrator's", "fd = os.pidfd_open($pid); call(438, fd, 0, 0)"),
    _host("parent-limits", "lower the orchestrator's limits", "import resource; resource.prlimit($pid, 7)"),
    _host("parent-priority", "slow the orchestrator down", "os.setpriority(os.PRIO_PROCESS, $pid, 19)"),
    _host("parent-cores", "take the orchestrator's cores", "os.sched_setaffinity($pid, {0})"),
    # --- sockets
    _host("loopback", "reach a service on the host", "socket.create_connection(('127.0.0.1', $port), 2)"),
    _host("gateway", "reach the container's gateway", "socket.create_connection(('172.17.0.1', $port), 1)", ()),
    _host("internet", "send a datagram out", "socket.socket(2, 2).sendto(b'x', ('192.0.2.1', 53))"),
    _host("name-service", "ask for a host's name", "socket.getaddrinfo('example.org', 80)", ()),
    _host("unix-socket", "reach a service's socket file", "socket.socket(1).connect('$unix')"),
    _host("abstract-socket", "reach an abstract socket", "socket.socket(1).connect('\\0$abstract')"),
    _host("engine-socket", "reach the container engine", "socket.socket(1).connect('/var/run/docker.sock')"),
    _host("raw-socket", "open a raw socket", "socket.socket(2, 3, 1)"),
    _host("packet-socket", "open a packet socket", "socket.socket(17, 3)"),
    _host("netlink", "talk to the kernel's network", "socket.socket(16, 3)"),
    _host("vsock", "reach the hypervisor", "socket.socket(40, 1)"),
    # --- kernel surfaces
    _host("io-uring", "start an io_uring", "call(425, 8, ctypes.create_string_buffer(120))"),
    _host("bpf", "load a kernel program", "call(321, 0, ctypes.create_string_buffer(72), 72)"),
    _host("perf", "watch the kernel", "call(298, ctypes.create_string_buffer(120), 0, -1, -1, 0)"),
    _host("userfaultfd", "handle page faults", "call(323, 0)"),
    _host("keyring", "use the kernel's keyring", "call(250, 0, -3, 1)"),
    _host("add-key", "put a key into the keyring", "call(248, b'user', b'x', b'y', 1, -3)"),
    _host("user-namespace", "become root in a namespace", "call(272, 0x10000000)"),
    _host("clone-namespace", "clone into a user namespace", "call(56, 0x10000000 | 17, 0, 0, 0, 0)"),
    _host("clone3-namespace", "clone3 into a user namespace",
          "a = struct.pack('<QQQQQQQQ', 0x10000000, 0, 0, 0, 17, 0, 0, 0); call(435, a, 64)"),
    _host("join-namespace", "join the host's namespaces", "call(308, os.open('/proc/1/ns/net', 0), 0)"),
    _host("mount", "mount a file system", "call(165, b'none', b'/tmp', b'tmpfs', 0, 0)"),
    _host("remount", "make the root writable", "call(165, b'none', b'/', b'', 32, 0); open('/usr/x', 'w')"),
    _host("open-tree", "clone a mount", "call(428, -100, b'/', 1)"),
    _host("chroot", "change the root", "os.chroot('/tmp')"),
    _host("pivot-root", "swap the root", "call(155, b'/tmp', b'/tmp')"),
    _host("file-handle", "open a file by its handle", "call(304, 3, ctypes.create_string_buffer(64), 0)"),
    _host("device", "make a disk device", "os.mknod('disk', 0o60666, 0x801)"),
    _host("kernel-memory", "read the kernel's memory", "open('/proc/kcore', 'rb').read(1)"),
    _host("physical-memory", "read physical memory", "open('/dev/mem', 'rb').read(1)"),
    _host("module", "load a kernel module", "call(175, b'', 0, b'')", ()),
    _host("kexec", "load another kernel", "call(246, 0, 0, 0, 0)"),
    _host("core-pattern", "have the kernel run a program", "open('/proc/sys/kernel/core_pattern', 'r+')"),
    _host("sysrq", "press the kernel's keys", "open('/proc/sysrq-trigger', 'w')"),
    _host("sys-write", "write to /sys", "open('/sys/kernel/mm/transparent_hugepage/enabled', 'w')"),
    _host("cgroup-write", "raise its own memory limit",
          "assert any(open(path, 'r+') for path in map(str, Path('/sys/fs/cgroup').rglob('memory.*')))"),
    _host("clock", "set the host's clock", "time.clock_settime(0, time.time())"),
    _host("host-name", "rename the host", "socket.sethostname(socket.gethostname())"),
    _host("root", "become root", "os.setresuid(0, 0, 0); open('/etc/mine', 'w')"),
    _host("run-setuid", "run a program that is root's",
          "import subprocess; subprocess.run(['/usr/bin/su', '-c', 'id'], check=True, stdin=-3)", ("local",)),
    _host("run-own-file", "run a program of its own from the scratch",
          "open('own', 'w').write('#!' + sys.executable + '\\n'); os.chmod('own', 0o755)\n"
          "import subprocess; subprocess.run(['./own'], check=True)"),
    _host("real-time", "take a core for itself", "os.sched_setscheduler(0, 1, os.sched_param(50))"),
    _host("shared-memory", "make memory that outlives it",
          "libc.shmget.restype = ctypes.c_int\n"
          "if libc.shmget(0x5eed, 4096, 0o1666) < 0: raise OSError\n"
          "if int(os.readlink('/proc/self/ns/ipc').strip('ipc:[]')) != $ipc: raise OSError"),
)  # fmt: skip
