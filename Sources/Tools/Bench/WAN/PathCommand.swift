import ArgumentParser
import CNamespace
import Foundation
import TestSupport

/// Makes the two namespaces and the path between them, in a process of its own.
///
/// The process prints a line of JSON with its descriptors of the namespaces. Its standard input ends at the end of the trial,
/// or with a runner that was killed. Then it prints the numbers of packets, and kills the processes inside. So the kernel
/// removes the namespaces and devices, which have no names.
struct PathCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "path", shouldDisplay: false)
    /// Packets that wait in a device until the path takes them. It is far more than come between two looks at it.
    private static let deviceQueue: Int32 = 10_000

    @Option var shape: PathShape
    @Option var seed: UInt64

    /// The first line of the output.
    struct Announcement: Codable {
        /// Descriptors of this process.
        let client: Int32
        let server: Int32
    }

    func run() throws {
        let client = try namespace(address: PathNetwork.Host.client.address)
        let server = try namespace(address: PathNetwork.Host.server.address)
        try JSONLine.print(Announcement(client: client.namespace, server: server.namespace))
        culvert_run_first()
        let relay = PathRelay(client: client.device, server: server.device, shape, seed: seed)
        relay.run()
        // The reader may have been killed, and the rest is still to do.
        signal(SIGPIPE, SIG_IGN)
        try? JSONLine.print(relay.counts)
        killProcesses(in: [client.namespace, server.namespace])
    }

    /// Kills all processes in these namespaces except this one.
    private func killProcesses(in namespaces: [Int32]) {
        let nodes = namespaces.map { namespace in
            var status = stat()
            return fstat(namespace, &status) == 0 ? status.st_ino : 0
        }
        for entry in (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? [] {
            var status = stat()
            guard let pid = Int32(entry), pid != getpid(), stat("/proc/\(pid)/ns/net", &status) == 0,
                nodes.contains(status.st_ino)
            else { continue }
            kill(pid, SIGKILL)
        }
    }

    private func namespace(address: String) throws -> (namespace: Int32, device: Int32) {
        let namespace = culvert_namespace_create()
        guard namespace >= 0 else { throw failure("make a network namespace", "run as root with CAP_SYS_ADMIN") }
        // A later connection must not profit from what the kernel has kept about an earlier one.
        let setting = open("/proc/sys/net/ipv4/tcp_no_metrics_save", O_WRONLY | O_CLOEXEC)
        defer { close(setting) }
        guard setting >= 0, write(setting, "1", 1) == 1 else {
            throw failure("set net.ipv4.tcp_no_metrics_save", "mount /proc with write access")
        }
        let device = culvert_tun_open("path", address, Int32(PathShape.maximumPacket), Self.deviceQueue)
        guard device >= 0 else { throw failure("open a TUN device", "modprobe tun") }
        return (namespace, device)
    }

    private func failure(_ what: String, _ remedy: String) -> ScenarioFailure {
        ScenarioFailure(description: "the path could not \(what): \(String(cString: strerror(errno))); \(remedy)")
    }
}
