import Cluster
import Logging
import Mux
import NIOCore
import Seal
import ServiceLifecycle
import Synchronization
import TestSupport

@testable import TunnelClient
@testable import TunnelCore
@testable import TunnelServer

/// Servers of one cluster in this process, each with a loopback address of its own for public ports.
struct RunningCluster: Sendable {
    /// One server.
    struct Member: Sendable {
        /// The address of its public ports.
        let address: String
        /// The port of its endpoint.
        let port: UInt16
        /// The port for requests of host names; 0 for none.
        let http: UInt16
        let log: CollectedLog
        /// Ends it, with a drain.
        let stop: @Sendable () async -> Void
    }

    let store: MemoryClaimStore
    let members: [Member]

    /// The secret of the servers.
    private static let token = try? Token("the token of the cluster, long enough")
    private static let verifier = (token ?? .none).credentials().verifier

    /// Runs servers that know Alice and Bob during `body`.
    static func with(
        _ count: Int = 3,
        _ configure: (inout ServerConfiguration) -> Void = { _ in },
        _ body: @Sendable (RunningCluster) async throws -> Void
    ) async throws {
        let store = MemoryClaimStore()
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            defer { tasks.cancelAll() }
            var members: [Member] = []
            for number in 0..<count {
                let address = "127.0.0.\(number + 1)"
                var configuration = ServerConfiguration()
                configuration.listen = [.tcp(host: "127.0.0.1", port: 0)]
                configuration.publicAddress = address
                configuration.clients = [Identity.alice, .bob].map {
                    .init(name: $0.name, verifier: $0.credentials.verifier)
                }
                configuration.serverKey = RunningServer.serverKey
                configuration.drainTimeout = .seconds(1)
                configuration.limits.grace = .seconds(10)
                configure(&configuration)
                let log = CollectedLog()
                let (ports, names) = (Mailbox<UInt16>(), Mailbox<UInt16>())
                var server = Server(configuration, logger: log.logger) { event in
                    guard case .listening(let url, let port?) = event else { return }
                    if url.hasPrefix("ws") { ports.put(UInt16(port)) } else { names.put(UInt16(port)) }
                }
                var setup = ClusterSetup(
                    store: store,
                    dialler: ServerPeerDialler(
                        token: token,
                        trust: TLSTrust(),
                        limits: MuxLimits().betweenServers,
                        logger: log.logger
                    ),
                    listen: .tcp(host: "127.0.0.1", port: 0),
                    clients: [ClientRights(name: "server", verifier: verifier)]
                )
                setup.leavingTime = .zero
                // A server of this process is reached sooner or later, however busy the machine is.
                setup.linkTimes.session = .seconds(60)
                setup.linkTimes.answer = .seconds(60)
                server.cluster = setup
                let group = ServiceGroup(
                    configuration: .init(
                        services: [.init(service: server, successTerminationBehavior: .gracefullyShutdownGroup)],
                        logger: Logger(label: "services") { _ in SwiftLogNoOpLogHandler() }
                    )
                )
                let task = Task { try await group.run() }
                tasks.addTask {
                    try await withTaskCancellationHandler {
                        try await task.value
                    } onCancel: {
                        task.cancel()
                    }
                }
                let port = try await ports.next("a server listens")
                let http = configuration.httpListen.isEmpty ? 0 : try await names.next("it listens for names")
                members.append(
                    Member(address: address, port: port, http: http, log: log) {
                        await group.triggerGracefulShutdown()
                        _ = try? await task.value
                    }
                )
            }
            let cluster = RunningCluster(store: store, members: members)
            do {
                try await body(cluster)
            } catch {
                let logs = members.map { "\($0.address):\n\($0.log.text)" }.joined(separator: "\n")
                throw ScenarioFailure(description: "\(error)\n\(logs)")
            }
        }
    }

    /// A client with one tunnel. Two of the same identity are the same process for the servers.
    func client(
        _ urls: String...,
        more: [String] = [],
        as identity: Identity = .alice,
        port: UInt16,
        to target: UInt16,
        tunnels: [TunnelSpec]? = nil,
        servers: Int = 1,
        compresses: Bool = false,
        pins: [ServerPublicKey] = [],
        log: CollectedLog = CollectedLog(),
        _ published: Mailbox<String>
    ) throws -> Client {
        var configuration = ClientConfiguration(
            endpoints: try (urls + more).map { try EndpointURL($0) },
            tunnels: tunnels ?? [TunnelSpec(port: port, to: .address(host: "127.0.0.1", port: target))],
            token: identity.token,
            instance: ClientInstance.identity(name: identity.name)
        )
        configuration.drainTimeout = .seconds(1)
        configuration.servers = servers
        configuration.isCompressing = compresses
        // What is relayed between servers is sealed, unless it is compressed.
        configuration.encryption = compresses ? .off : .required
        configuration.serverKeys = pins
        return Client(configuration, logger: log.logger) { event in
            if case .tunnel(let url, _) = event { published.put(url) }
        }
    }

    /// Runs a client of one server during `body`, once its tunnel is public.
    func withClient(
        _ identity: Identity = .alice,
        at servers: [Int],
        port: UInt16,
        to target: UInt16,
        _ body: (Mailbox<String>) async throws -> Void
    ) async throws {
        let urls = Mailbox<String>()
        let log = CollectedLog()
        var configuration = ClientConfiguration(
            endpoints: try servers.map { try EndpointURL("ws://127.0.0.1:\(members[$0].port)") },
            tunnels: [TunnelSpec(port: port, to: .address(host: "127.0.0.1", port: target))],
            token: identity.token,
            instance: ClientInstance.identity(name: identity.name)
        )
        configuration.encryption = .required
        configuration.drainTimeout = .seconds(1)
        let client = Client(configuration, logger: log.logger) { event in
            if case .tunnel(let url, _) = event { urls.put(url) }
        }
        let running = Task { try await client.run() }
        do {
            _ = try await urls.next("the tunnel is public")
            try await body(urls)
        } catch {
            running.cancel()
            _ = try? await running.value
            throw ScenarioFailure(description: "\(error)\nclient:\n\(log.text)")
        }
        running.cancel()
        _ = try? await running.value
    }

    /// Waits until a server accepts visitors at a port.
    func waitForPort(_ port: UInt16, at member: Member) async throws {
        try await eventually("\(member.address):\(port) accepts") {
            guard let socket = try? TCPSocket(port: port, address: member.address) else { return false }
            socket.close()
            return true
        }
    }

    /// Expects an echo through a port of one server.
    func expectEcho(at member: Member, _ port: UInt16) async throws {
        try await waitForPort(port, at: member)
        try await onThread {
            let visitor = try TCPSocket(port: port, address: member.address)
            try visitor.send("hello")
            let answer = try visitor.receive(exactly: 5)
            try require(String(decoding: answer, as: UTF8.self) == "hello", "\(answer)")
            visitor.close()
        }
    }
}
