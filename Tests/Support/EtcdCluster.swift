import Foundation
import Synchronization

/// Debian's `etcd` on loopback or on machines of a network: one member or three, without TLS and users. Members can be stopped,
/// paused and started again.
public final class EtcdCluster: Sendable {
    /// What stays of a member if its process is started again.
    public struct Member: Sendable {
        /// Its name.
        public let name: String
        /// The port for clients.
        public let port: UInt16
        fileprivate let peerPort: UInt16
        /// Its machine; nil for this one.
        fileprivate let host: HostNetwork.Host?
        private var address: String { host?.address ?? "127.0.0.1" }
        /// The URL for clients.
        public var url: String { "http://\(address):\(port)" }
        fileprivate var peerURL: String { "http://\(address):\(peerPort)" }

        /// Connects to it.
        fileprivate func connect() throws -> TCPSocket {
            let (port, address) = (port, address)
            guard let host else { return try TCPSocket(port: port, timeout: .seconds(5)) }
            return try host.runNow { try TCPSocket(port: port, address: address, timeout: .seconds(5)) }
        }
    }

    /// The members.
    public let members: [Member]
    private let scenario: Scenario
    private let processes = Mutex<[Int: ChildProcess]>([:])

    private init(_ count: Int, on hosts: [HostNetwork.Host], _ scenario: Scenario) throws {
        self.scenario = scenario
        members = try (0..<count).map {
            Member(
                name: "etcd-\($0)",
                port: try FreePorts.next(),
                peerPort: try FreePorts.next(),
                host: hosts.isEmpty ? nil : hosts[$0]
            )
        }
    }

    /// Starts a cluster, and waits until it has a leader.
    ///
    /// - Parameter hosts: a machine for each member; none for loopback.
    public static func start(
        members count: Int = 3,
        on hosts: [HostNetwork.Host] = [],
        in scenario: Scenario
    ) async throws -> EtcdCluster {
        let cluster = try EtcdCluster(count, on: hosts, scenario)
        for index in 0..<count { try cluster.launch(index) }
        for index in 0..<count { try await cluster.waitUntilListening(index) }
        _ = try await cluster.leader()
        return cluster
    }

    /// The URLs for clients.
    public var urls: [String] { members.map(\.url) }

    /// The process of a member. Throws if it is stopped.
    public func process(_ index: Int) throws -> ChildProcess {
        guard let process = processes.withLock({ $0[index] }) else {
            throw ScenarioFailure(description: "\(members[index].name) does not run")
        }
        return process
    }

    // MARK: Faults

    /// Kills a member. Its data stays.
    public func kill(_ index: Int) async throws {
        try await process(index).kill()
        processes.withLock { $0[index] = nil }
    }

    /// Ends a member with SIGTERM, as a system's restart does. A leader hands over first. Its data stays.
    public func stop(_ index: Int) async throws {
        try await process(index).end()
        processes.withLock { $0[index] = nil }
    }

    /// Starts a member again, and waits until it answers.
    public func restart(_ index: Int) async throws {
        try launch(index)
        try await waitUntilListening(index)
    }

    private func waitUntilListening(_ index: Int) async throws {
        let (member, process) = (members[index], try process(index))
        try await eventually("\(member.name) listens", found: { process.description }) {
            (try? member.connect()) != nil
        }
    }

    /// Stops a member without ending its connections.
    public func pause(_ index: Int) throws { try process(index).signal(SIGSTOP) }

    /// Lets a paused member go on.
    public func resume(_ index: Int) throws { try process(index).signal(SIGCONT) }

    // MARK: Requests

    /// Waits until a member names a leader that runs.
    ///
    /// - Returns: the leader's index.
    public func leader(within limit: Duration = .seconds(20)) async throws -> Int {
        struct Status: Decodable {
            struct Header: Decodable { let member_id: String }
            let header: Header
            let leader: String?
        }
        return try await eventually("etcd has a leader", within: limit) {
            let running = processes.withLock { Array($0.keys) }
            for index in running.sorted() {
                guard let answer = try? post("/v3/maintenance/status", "{}", to: index),
                    let status = try? JSONDecoder().decode(Status.self, from: Data(answer.utf8)), status.leader != nil
                else { continue }
                if status.leader == status.header.member_id { return index }
            }
            return nil
        }
    }

    /// Forgets the history up to the present revision.
    public func compact() throws {
        struct Answer: Decodable {
            struct Header: Decodable { let revision: String }
            let header: Header
        }
        let answer = try post("/v3/kv/range", #"{"key":"AA=="}"#)
        let revision = try JSONDecoder().decode(Answer.self, from: Data(answer.utf8)).header.revision
        _ = try post("/v3/kv/compaction", #"{"revision":"\#(revision)","physical":true}"#)
    }

    /// Writes a key.
    public func put(_ key: String, _ value: String) throws {
        let (key, value) = (Data(key.utf8).base64EncodedString(), Data(value.utf8).base64EncodedString())
        _ = try post("/v3/kv/put", #"{"key":"\#(key)","value":"\#(value)"}"#)
    }

    /// Sends a request to a member's gateway, and returns the body of the answer. Throws if it is refused.
    @discardableResult
    public func post(_ path: String, _ body: String, to index: Int = 0) throws -> String {
        let socket = try members[index].connect()
        defer { socket.close() }
        try socket.send(
            "POST \(path) HTTP/1.0\r\nHost: localhost\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
        )
        let answer = String(decoding: try socket.receiveToEnd(), as: UTF8.self)
        guard answer.hasPrefix("HTTP/1.0 200"), let end = answer.range(of: "\r\n\r\n") else {
            throw ScenarioFailure(description: "\(path) of \(members[index].name): \(answer)")
        }
        return String(answer[end.upperBound...])
    }

    private func launch(_ index: Int) throws {
        let member = members[index]
        let peers = members.map { "\($0.name)=\($0.peerURL)" }.joined(separator: ",")
        let arguments =
            [
                "--name", member.name, "--data-dir", "\(scenario.directory)/\(member.name)",
                "--listen-client-urls", member.url, "--advertise-client-urls", member.url,
                "--listen-peer-urls", member.peerURL, "--initial-advertise-peer-urls", member.peerURL,
                "--initial-cluster", peers, "--initial-cluster-state", "new", "--unsafe-no-fsync",
                "--logger", "zap", "--log-level", "warn",
            ] + (members.count == 1 ? ["--heartbeat-interval", "10", "--election-timeout", "100"] : [])
        let command = [try Program.etcd.required()] + arguments
        let process = try scenario.start(member.name, try member.host?.command(command) ?? command, isKilled: true)
        processes.withLock { $0[index] = process }
    }
}
