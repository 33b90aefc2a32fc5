import Foundation
import TestSupport
import Testing

/// Where a UDP port listens whose datagrams lead to a service of loopback.
enum DatagramDirection: String, CaseIterable, CustomTestStringConvertible {
    /// At the client: `-L`.
    case local = "-L"
    /// At the server: `-R`.
    case remote = "-R"

    var testDescription: String { rawValue }
}

/// A server and a client with one UDP port.
struct DatagramPath {
    /// The process that listens, and the one that asks the service.
    let (ingress, egress): (ChildProcess, ChildProcess)
    let client: CulvertClient
    let port: UInt16
    /// What stands between the client and the server.
    let relay: FaultRelay
}

extension Scenario {
    /// Starts a server and a client with one UDP port, and waits until datagrams have a session.
    ///
    /// - Parameters:
    ///   - listen: the address and port on which it listens.
    ///   - limits: lines of `[limits]` for the process that listens.
    func datagrams(
        to service: UInt16,
        _ direction: DatagramDirection = .local,
        listen: String = "0",
        limits: String = "",
        options: [String] = []
    ) async throws -> DatagramPath {
        let destination = "127.0.0.1:\(service)"
        let file = "\(directory)/limits.toml"
        try write("[limits]\n\(limits)\n", to: file)
        let configuration = ["--config", file]
        let isLocal = direction == .local
        let server = try await server(allowing: [destination], options: isLocal ? [] : configuration)
        let relay = try FaultRelay(to: server.port)
        let client = try client(
            "ws://127.0.0.1:\(relay.port)",
            [],
            options: (isLocal ? configuration : []) + [direction.rawValue, "\(listen):\(destination)/udp"] + options
        )
        let port = try await client.datagramPort(to: destination)
        return DatagramPath(
            ingress: isLocal ? client.process : server.process,
            egress: isLocal ? server.process : client.process,
            client: client,
            port: port,
            relay: relay
        )
    }
}

extension CulvertClient {
    /// Waits until a UDP port of a tunnel or of a forward listens and the session is open, since datagrams do not wait.
    func datagramPort(to destination: String, hasSession: Bool = true) async throws -> UInt16 {
        let line = try await process.line {
            $0.contains(" udp://") && $0.hasSuffix(" -> \(destination)")
        }
        if hasSession { _ = try await process.logLine { $0.contains("session opened") } }
        let address = line.split(separator: " ")[1]
        return try #require(address.split(separator: ":").last.flatMap { UInt16($0) })
    }
}
