import Foundation
import Synchronization
import TestSupport

/// Short visitors of a cluster's ports and host names, with what became of each.
final class ClusterVisitors: Sendable {
    /// A service of a client, by its name.
    struct Target: Sendable {
        let name: String
        let port: UInt16
        var host: String { "\(name).example.test" }
        /// What the service sends first.
        var greeting: String { "\(name)\n" }
    }

    /// The way of a visitor to a service.
    enum Way: Sendable {
        case server(Int), front, name(Int)

        /// The server that it reaches; nil for HAProxy's choice.
        var entry: Int? {
            switch self {
            case .server(let number), .name(let number): number
            case .front: nil
            }
        }
        var text: String {
            switch self {
            case .server(let number): "server-\(number)"
            case .front: "HAProxy"
            case .name(let number): "name at server-\(number)"
            }
        }
    }

    private struct Record {
        var count = 0
        var failures: [String: [String: Int]] = [:]
        var longest = Duration.zero
        var longestText = "none"
        var violations: [String] = []
    }

    /// The time that a visitor may take while the server that it has reached answers.
    static let patience = Duration.seconds(30)

    private let cluster: ClusterNetwork
    private let log: FaultLog
    private let record = Mutex(Record())

    init(_ cluster: ClusterNetwork, _ log: FaultLog) {
        (self.cluster, self.log) = (cluster, log)
    }

    var count: Int { record.withLock { $0.count } }
    /// What must never happen.
    var violations: [String] { record.withLock { $0.violations } }
    /// The longest visitor, in words.
    var longest: String { record.withLock { "\($0.longest), \($0.longestText)" } }
    /// The failures of each fault, in words.
    var failures: [String] {
        record.withLock { record in
            record.failures.sorted { $0.key.localizedStandardCompare($1.key) == .orderedAscending }.map {
                fault,
                kinds in
                let list = kinds.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", ")
                return "\(fault): \(kinds.values.reduce(0, +)) (\(list))"
            }
        }
    }

    /// Runs one visitor to its end.
    func visit(_ target: Target, _ way: Way, number: Int) async {
        let (begin, fault) = (ContinuousClock.now, log.name)
        let outcome = await outcome(target, way, number)
        let end = ContinuousClock.now
        let time = end - begin
        let text =
            "\(FaultLog.clock) visitor \(number) of \(target.name) at \(way.text): \(outcome.text), \(time), fault \(fault)"
        let isHanging = time - log.silence(of: way.entry, from: begin, to: end) > Self.patience
        // HAProxy makes a FIN of a server's reset.
        let isShort = outcome.isShort && way.entry != nil
        let isViolation = outcome.isWrong || isHanging || isShort
        record.withLock { record in
            record.count += 1
            if time > record.longest { (record.longest, record.longestText) = (time, text) }
            if !outcome.isServed {
                record.failures[fault, default: [:]]["\(target.name) at \(way.text): \(outcome.text)", default: 0] += 1
            }
            if isViolation { record.violations.append(text) }
        }
        if isViolation { print("VIOLATION \(text)") }
    }

    private struct Outcome: Sendable {
        let text: String
        var isServed = false
        var isWrong = false
        /// FIN came too early.
        var isShort = false
    }

    private func outcome(_ target: Target, _ way: Way, _ number: Int) async -> Outcome {
        do {
            let address = way.entry.map { cluster.places[$0].host.address } ?? "127.0.0.1"
            let port =
                switch way {
                case .server: target.port
                case .front: ClusterNetwork.visitors(target.port)
                case .name: ClusterNetwork.http
                }
            return try await cluster.outside.run {
                let socket = try TCPSocket(port: port, address: address, timeout: .seconds(60))
                defer { socket.close() }
                socket.keepAlive(seconds: 2)
                if case .name = way { return try Self.request(socket, target) }
                return try Self.echo(socket, target, "visitor \(number)\n")
            }
        } catch SocketError.timedOut {
            return Outcome(text: "hangs", isWrong: true)
        } catch {
            return Outcome(text: "\(error)")
        }
    }

    private static func echo(_ socket: TCPSocket, _ target: Target, _ text: String) throws -> Outcome {
        try socket.send(text)
        let expected = Array((target.greeting + text).utf8)
        var received: [UInt8] = []
        while received.count < expected.count {
            let bytes = try socket.receive()
            received += bytes
            guard expected.starts(with: received) else {
                return Outcome(text: "got \(String(decoding: received, as: UTF8.self).debugDescription)", isWrong: true)
            }
            if bytes.isEmpty { return Outcome(text: "FIN after \(received.count) bytes", isShort: true) }
        }
        try socket.finishSending()
        guard try socket.receive().isEmpty else { return Outcome(text: "more bytes than sent", isWrong: true) }
        return Outcome(text: "served", isServed: true)
    }

    private static func request(_ socket: TCPSocket, _ target: Target) throws -> Outcome {
        try socket.send("GET / HTTP/1.1\r\nHost: \(target.host)\r\nConnection: close\r\n\r\n")
        let answer = String(decoding: try socket.receiveToEnd(), as: UTF8.self)
        let status = answer.split(separator: " ").dropFirst().first ?? "none"
        guard status == "200" else { return Outcome(text: "status \(status)") }
        guard answer.range(of: "\r\nX-Service: \(target.name)\r\n", options: .caseInsensitive) != nil else {
            return Outcome(text: "got \(answer.debugDescription)", isWrong: true)
        }
        return Outcome(text: "served", isServed: true)
    }
}
