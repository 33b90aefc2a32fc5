import Foundation
import TestSupport
import Testing

extension Scenario {
    /// Starts a server that connects to destinations for clients of its token.
    ///
    /// - Parameter rules: the values of `--allow-connect`.
    func server(
        port: UInt16 = 0,
        allowing rules: [String],
        options: [String] = []
    ) async throws -> CulvertServer {
        try await server(port: port, options: rules.flatMap { ["--allow-connect", $0] } + options)
    }

    /// Starts a server and a client with one local port, which leads to a service.
    func forward(to service: TCPService) async throws -> (server: CulvertServer, client: CulvertClient, port: UInt16) {
        let destination = "127.0.0.1:\(service.port)"
        let server = try await server(allowing: [destination])
        let client = try client(server.url, [], options: ["-L", "0:\(destination)"])
        return (server, client, try await client.forward(to: destination))
    }
}

extension CulvertClient {
    /// Waits until a forward listens.
    ///
    /// - Parameter destination: `HOST:PORT` or `/SOCKET`.
    /// - Returns: the local port.
    func forward(to destination: String) async throws -> UInt16 {
        try await port { $0.hasPrefix("forward 127.0.0.1:") && $0.hasSuffix(" -> \(destination)") }
    }

    /// Waits until a SOCKS port listens.
    ///
    /// - Returns: the local port.
    func socks() async throws -> UInt16 {
        try await port { $0.hasPrefix("forward socks5://127.0.0.1:") }
    }

    private func port(_ isWanted: @escaping @Sendable (String) -> Bool) async throws -> UInt16 {
        let line = try await process.line(where: isWanted)
        let words = line.split(separator: " ")
        guard let port = words[1].split(separator: ":").last.flatMap({ UInt16($0) }) else {
            throw ScenarioFailure(description: "no port in: \(line)")
        }
        return port
    }
}

/// Connects to a local port, and expects RST without a byte.
func expectReset(at port: UInt16, sourceLocation: SourceLocation = #_sourceLocation) async throws {
    let (bytes, ending) = try await onThread { try TCPSocket(port: port).drain() }
    #expect(ending == .reset && bytes.isEmpty, "\(ending) after \(bytes.count) bytes", sourceLocation: sourceLocation)
}
