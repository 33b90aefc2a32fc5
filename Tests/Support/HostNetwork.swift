import Foundation
import Synchronization

#if canImport(CNamespace)
import CNamespace
#endif

/// Machines on one network: a network namespace for each, and a bridge between them. The path from one machine to another can
/// be cut in one direction, without a message to either end.
///
/// It needs root. Everything ends with the scenario's processes.
public final class HostNetwork: Sendable {
    /// A machine.
    public struct Host: Sendable {
        /// Its place in the network, from 0.
        public let index: Int
        /// Its address for the other machines.
        public var address: String { "10.77.0.\(index + 1)" }
        fileprivate let process: Int32

        /// The command line that runs a program on the machine.
        public func command(_ command: [String]) throws -> [String] {
            [try Program.nsenter.required(), "--net=/proc/\(process)/ns/net"] + command
        }

        /// Runs blocking work on a thread of the machine: its sockets belong there.
        public func run<T: Sendable>(_ work: @escaping @Sendable () throws -> T) async throws -> T {
            try await onThread { try enteredBy(work) }
        }

        /// Runs blocking work on a thread of the machine, while the caller's waits.
        func runNow<T: Sendable>(_ work: @escaping @Sendable () throws -> T) throws -> T {
            let result = Mutex<Result<T, any Error>>(.failure(SocketError.timedOut))
            let done = Gate()
            Thread.detachNewThread {
                let outcome = Result { try enteredBy(work) }
                result.withLock { $0 = outcome }
                done.open()
            }
            done.wait()
            return try result.withLock { $0 }.get()
        }

        /// Connects from the machine to a port of its loopback.
        public func connect(_ port: UInt16) throws -> TCPSocket { try runNow { try TCPSocket(port: port) } }

        private func enteredBy<T>(_ work: () throws -> T) throws -> T {
            #if canImport(CNamespace)
            guard culvert_namespace_enter("/proc/\(process)/ns/net") == 0 else {
                throw SocketError.system(call: "setns", errno: errno)
            }
            return try work()
            #else
            throw ScenarioFailure(description: "no network namespaces on this system")
            #endif
        }
    }

    /// The machines.
    public let hosts: [Host]
    private let scenario: Scenario
    private let cuts = Mutex<Set<Cut>>([])

    private struct Cut: Hashable {
        let source: String
        let destination: Int
    }

    /// The reason why there can be no network here; nil if there can.
    public static var notReadyReason: String? {
        if geteuid() != 0 { return "needs root" }
        for program in [Program.ip, .nft, .nsenter, .unshare] where program.path == nil {
            return "\(program) is not installed (apt-get install \(program.package))"
        }
        return nil
    }

    private init(_ hosts: [Host], _ scenario: Scenario) {
        (self.hosts, self.scenario) = (hosts, scenario)
    }

    /// Starts a number of machines.
    public static func start(_ count: Int, in scenario: Scenario) async throws -> HostNetwork {
        let bridge = try await namespace("bridge", at: 0, in: scenario)
        var hosts: [Host] = []
        for index in 0..<count { hosts.append(try await namespace("host-\(index)", at: index, in: scenario)) }
        let network = HostNetwork(hosts, scenario)
        let ports = hosts.map { host in
            """
            link add name port\(host.index) type veth peer name eth0 netns \(host.process)
            link set port\(host.index) master bridge up
            """
        }
        try await network.configure(
            bridge,
            ["link add name bridge type bridge", "link set bridge up"] + ports
        )
        for host in hosts {
            try await network.configure(
                host,
                ["link set lo up", "address add \(host.address)/24 dev eth0", "link set eth0 up"]
            )
        }
        return network
    }

    private static func namespace(_ name: String, at index: Int, in scenario: Scenario) async throws -> Host {
        let process = try scenario.start(
            name,
            Program.unshare.required(),
            ["--net", "sh", "-c", "echo ready; exec sleep infinity"],
            isKilled: true
        )
        _ = try await process.line { $0 == "ready" }
        return Host(index: index, process: process.pid)
    }

    private func configure(_ host: Host, _ lines: [String]) async throws {
        let file = "\(scenario.directory)/ip-\(host.process)"
        try scenario.write(lines.joined(separator: "\n") + "\n", to: file)
        try await run(["ip", "-batch", file], on: host)
    }

    private func run(_ command: [String], on host: Host) async throws {
        let command = try host.command(command)
        let process = try scenario.start(command[2], command)
        guard try await process.exitStatus() == .exited(0) else {
            throw ScenarioFailure(description: "\(command) failed. \(process)")
        }
    }

    // MARK: Faults

    /// Drops all packets from one machine to another.
    public func cut(from source: Host, to destination: Host) async throws {
        cuts.withLock { _ = $0.insert(Cut(source: source.address, destination: destination.index)) }
        try await apply(to: destination)
    }

    /// Drops all packets between machines.
    public func cut(_ host: Host, and others: [Host]) async throws {
        for other in others {
            try await cut(from: host, to: other)
            try await cut(from: other, to: host)
        }
    }

    /// Takes a machine off the network, as if its power had failed.
    public func cutOff(_ host: Host) async throws {
        try await cut(host, and: hosts.filter { $0.index != host.index })
    }

    /// Ends all cuts.
    public func heal() async throws {
        let hurt = cuts.withLock { cuts in
            defer { cuts = [] }
            return Set(cuts.map(\.destination))
        }
        for index in hurt { try await apply(to: hosts[index]) }
    }

    /// The receiver drops the packets: a sender that drops its own would see an error.
    private func apply(to host: Host) async throws {
        let sources = cuts.withLock { cuts in
            cuts.filter { $0.destination == host.index }.map { "ip saddr \($0.source) drop" }
        }
        let file = "\(scenario.directory)/faults-\(host.index)"
        try scenario.write(
            """
            flush ruleset
            table ip faults {
                chain input {
                    type filter hook input priority 0;
                    \(sources.joined(separator: "\n        "))
                }
            }

            """,
            to: file
        )
        try await run(["nft", "-f", file], on: host)
    }
}
