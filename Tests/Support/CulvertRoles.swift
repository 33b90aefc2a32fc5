import Foundation

/// A running `culvert server`.
public struct CulvertServer: Sendable {
    /// The process.
    public let process: ChildProcess
    /// The port on which it accepts clients.
    public let port: UInt16
    /// The URL that it printed.
    public let url: String
}

/// A running `culvert client`.
public struct CulvertClient: Sendable {
    /// The process.
    public let process: ChildProcess

    /// Wraps a process that was started in another way.
    public init(process: ChildProcess) {
        self.process = process
    }

    /// Waits until a tunnel to a loopback service is public.
    ///
    /// - Parameter skip: the number of announcements to skip.
    /// - Returns: the public port.
    public func tunnel(to servicePort: UInt16, skip: Int = 0, within limit: Duration = .seconds(20)) async throws
        -> UInt16
    {
        let line = try await process.line(skip: skip, within: limit) {
            $0.hasPrefix("tunnel tcp://") && $0.hasSuffix(":\(servicePort)")
        }
        let address = line.dropFirst("tunnel tcp://".count).prefix { $0 != " " }
        guard let port = address.split(separator: ":").last.flatMap({ UInt16($0) }) else {
            throw ScenarioFailure(description: "no port in: \(line)")
        }
        return port
    }
}

extension Scenario {
    /// Starts the executable under test.
    ///
    /// - Parameters:
    ///   - input: standard input.
    ///   - outputFile: a file that gets standard output, for bytes that are no lines; nil for ``ChildProcess/output``.
    ///   - host: its machine; nil for this one.
    public func culvert(
        _ name: String,
        _ arguments: [String],
        environment: [String: String] = [:],
        input: StandardInput = .empty,
        outputFile: String? = nil,
        on host: HostNetwork.Host? = nil
    ) throws -> ChildProcess {
        var command = [try CulvertExecutable.path()] + arguments
        if let outputFile { command = ["/bin/sh", "-c", "exec \"$@\" > \"$0\"", outputFile] + command }
        if let host { command = try host.command(command) }
        let process = try start(
            name,
            command[0],
            Array(command.dropFirst()),
            environment: environment,
            input: input
        )
        checkOutput(of: process)
        return process
    }

    /// Starts a server on loopback, and waits until it accepts.
    ///
    /// - Parameters:
    ///   - port: the port; 0 lets the system choose.
    ///   - options: further arguments.
    public func server(port: UInt16 = 0, options: [String] = []) async throws -> CulvertServer {
        let process = try culvert(
            "server",
            ["server", "--listen", "127.0.0.1:\(port)", "--public-address", "127.0.0.1", "--token-file", tokenFile]
                + options
        )
        let line = try await process.line { $0.hasPrefix("listening ") }
        let url = String(line.dropFirst("listening ".count))
        guard let actual = URL(string: url)?.port.flatMap({ UInt16(exactly: $0) }), actual > 0 else {
            throw ScenarioFailure(description: "no port in: \(line)")
        }
        return CulvertServer(process: process, port: actual, url: url)
    }

    /// Starts a client.
    ///
    /// - Parameters:
    ///   - url: the URL of the server.
    ///   - remotes: the values of `-R`.
    ///   - options: further arguments.
    public func client(
        _ url: String,
        _ remotes: [String],
        options: [String] = [],
        environment: [String: String] = [:]
    ) throws -> CulvertClient {
        let process = try culvert(
            "client",
            ["client", url, "--token-file", tokenFile] + remotes.flatMap { ["-R", $0] } + options,
            environment: environment
        )
        return CulvertClient(process: process)
    }

    /// Starts a server and a client that dials it directly, with a tunnel to a service.
    public func tunnel(to service: TCPService) async throws -> (
        server: CulvertServer, client: CulvertClient, port: UInt16
    ) {
        let server = try await server()
        let client = try client(server.url, ["0:127.0.0.1:\(service.port)"])
        return (server, client, try await client.tunnel(to: service.port))
    }
}

/// Sends a few bytes to an echo service through a public port, and expects the echo.
public func expectEcho(through port: UInt16, of text: String = "ping", within limit: Duration = .seconds(20))
    async throws
{
    try await onThread {
        let visitor = try TCPSocket(port: port, timeout: limit)
        try visitor.send(text)
        let answer = String(decoding: try visitor.receive(exactly: text.utf8.count), as: UTF8.self)
        guard answer == text else { throw ScenarioFailure(description: "an echo of \(answer) instead of \(text)") }
        visitor.close()
    }
}
