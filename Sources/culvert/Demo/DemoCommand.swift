import ArgumentParser
import Logging
import Mux
import NIOCore
import NIOPosix
import ProxyConnect
import Tunnel

/// `culvert demo`: runs the whole chain on loopback, with real sockets, in one process.
struct DemoCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "demo",
        abstract: "Runs a web service, a proxy, a server and a client on this machine, and prints a URL to open."
    )

    @Flag(help: "Fetch the URL once through the whole chain, print the page and its path, and exit.")
    var once = false

    @Option(help: "The least important events to log.")
    var logLevel: Logger.Level = .warning

    func run() async throws {
        var options = try LogOptions.parse([])
        options.logLevel = logLevel
        let logger = try StandardErrorLog.logger(options)
        do {
            try await Demo(logger: logger, isOnce: once).run()
        } catch {
            throw Failure(error)
        }
    }
}

/// Runs the demo's service, proxy, server and client, and prints what they do.
private struct Demo {
    let logger: Logger
    let isOnce: Bool

    func run() async throws {
        let group = MultiThreadedEventLoopGroup.singleton
        let service = try await DemoService.start(on: group)
        let proxy = try await DemoProxy.start(on: group)
        var generator = SystemRandomNumberGenerator()
        let token = try Token(Token.random(using: &generator))

        let (listening, serverIsUp) = AsyncStream<String>.makeStream()
        let (tunnels, tunnelIsUp) = AsyncStream<String>.makeStream()
        let server = Server(serverConfiguration(token), logger: logger) { event in
            switch event {
            case .listening(let url, _): serverIsUp.yield(url)
            case .ready, .reloading, .stopping: break
            }
        }
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await server.run() }
            tasks.addTask {
                guard let endpoint = await listening.first(where: { _ in true }) else { return }
                let configuration = try clientConfiguration(token, endpoint, proxy, service)
                let client = Client(configuration, logger: logger) { event in
                    switch event {
                    case .tunnel(let url, _): tunnelIsUp.yield(url)
                    case .forward: break
                    }
                }
                introduce(endpoint, proxy, service)
                try await client.run()
            }
            tasks.addTask {
                guard let url = await tunnels.first(where: { _ in true }) else { return }
                let port = Int(url.split(separator: ":").last ?? "") ?? 0
                if isOnce {
                    try await fetch(port, proxy, group)
                } else {
                    Output.line("Open http://127.0.0.1:\(port)/ (Ctrl-C ends the demo)")
                    await firstSignal()
                }
            }
            // The first task to end ends the demo: the visit, Ctrl-C, or an error.
            defer { tasks.cancelAll() }
            try await tasks.next()
        }
        if !isOnce { Output.line("proxy: \(proxy.report)") }
    }

    private func serverConfiguration(_ token: Token) -> ServerConfiguration {
        var configuration = ServerConfiguration()
        configuration.listen = [.tcp(host: "127.0.0.1", port: 0)]
        configuration.publicAddress = "127.0.0.1"
        // A key of this run, so that the demo leaves no file behind.
        configuration.serverKey = ServerKey()
        configuration.clients = [.init(name: "demo", verifier: token.credentials().verifier)]
        return configuration
    }

    private func clientConfiguration(
        _ token: Token,
        _ endpoint: String,
        _ proxy: DemoProxy,
        _ service: DemoService
    ) throws -> ClientConfiguration {
        var configuration = ClientConfiguration(
            endpoints: [try EndpointURL(endpoint)],
            tunnels: [try TunnelSpec("0:127.0.0.1:\(service.port)")],
            token: token,
            instance: ClientInstance.identity(name: "demo")
        )
        let choice = ProxyChoice.proxy(try ProxyURL("http://127.0.0.1:\(proxy.port)"))
        configuration.proxies = { _ in [choice] }
        configuration.proxyCredentials.user = DemoProxy.user
        configuration.proxyCredentials.password = DemoProxy.password
        return configuration
    }

    private func introduce(_ endpoint: String, _ proxy: DemoProxy, _ service: DemoService) {
        Output.line(
            """
            The private side                          The public side
              web service  http://127.0.0.1:\(service.port)
              culvert client  ----------------------->  culvert server  \(endpoint)
                 through the HTTP proxy 127.0.0.1:\(proxy.port), which wants a password
            """
        )
    }

    /// Visits the public port as a browser would, and prints the page and its path.
    private func fetch(_ port: Int, _ proxy: DemoProxy, _ group: any EventLoopGroup) async throws {
        let url = "http://127.0.0.1:\(port)/"
        let answer = try await DemoVisitor.get(port: port, on: group)
        Output.line("Fetched \(url): \(answer.status)")
        for line in answer.body.split(separator: "\n") { Output.line("  | \(line)") }
        Output.line(
            """
            How the bytes travelled:
              visitor -> \(url) (culvert server's public port)
                -> one WebSocket of binary frames, inside
                -> the proxy's tunnel (\(proxy.report))
                -> culvert client -> web service, and back the same way
            """
        )
        guard answer.status.hasPrefix("HTTP/1.1 200"), answer.body.contains(DemoService.greeting), proxy.hasCarried
        else {
            throw Failure(.bug, "the page did not come through the whole chain")
        }
    }
}
