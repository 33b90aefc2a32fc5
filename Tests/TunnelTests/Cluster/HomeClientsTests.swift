import Foundation
import NIOCore
import Testing
import TunnelAdmin

@testable import Cluster
@testable import TunnelServer

/// The clients of one server, as other servers read them.
@Suite("Clients that other servers name")
struct HomeClientsTests {
    private static func session(_ name: String, places: [String] = []) throws -> ClusterSession {
        let places = places.map { "\"\($0)\"" }.joined(separator: ",")
        let text = """
            {"name":"\(name)","peer":"192.0.2.1:1","software":"x","since":"2026-01-31T12:00:00Z","has_carrier":true,
            "streams":-7,"bytes_to_service":9223372036854775807,"bytes_to_visitor":1,"places":[\(places)],
            "places_left_out":0}
            """
        return try StatusJSON.decode(ClusterSession.self, from: Data(text.utf8))
    }

    @Test("An answer has at most so many bytes, and counts the sessions that are left out")
    func limit() throws {
        var clients = HomeClients()
        clients.sessions = try (0..<1_000).map { try Self.session("client-\($0)") }
        let whole = try clients.encoded(limit: 4 << 20)
        #expect(try HomeClients(Array(whole.utf8)).sessions.count == 1_000)
        for limit in [0, 1_000, 50_000] {
            let text = try clients.encoded(limit: limit)
            let read = try HomeClients(Array(text.utf8))
            #expect(text.utf8.count <= limit || read.sessions.isEmpty)
            #expect(read.sessions.count + read.sessionsLeftOut == 1_000)
        }
    }

    @Test("Values of another server can be shown and added")
    func hostile() throws {
        var clients = HomeClients()
        let places = (0..<100).map { "p\($0)" }
        clients.sessions = [try Self.session("a\\u001b[2J", places: places), try Self.session("b")]
        let read = try HomeClients(Array(try clients.encoded(limit: 4 << 20).utf8))
        #expect(read.sessions[0].name == "a\\u{1B}[2J")
        #expect(read.sessions[0].places.count == 32)
        #expect(read.sessions.map(\.streams) == [0, 0])
        #expect(read.sessions.reduce(0) { $0 + $1.bytesToService } == 1 << 49)
    }

    @Test("What is no answer is refused", arguments: ["", "{", "[]", "{\"sessions\":3}", "null", "\u{0}"])
    func malformed(text: String) {
        #expect(throws: (any Error).self) { try HomeClients(Array(text.utf8)) }
    }

    private static func records(_ count: UInt32) -> [ServerRecord] {
        (0..<count).map { ServerRecord(ServerID($0), peerURL: "ws://a/peer", version: "1", since: 0) }
    }

    @Test("All servers are asked, and each answer or failure stands with its server")
    func ask() async throws {
        let servers = Self.records(100)
        let empty = Array(try HomeClients().encoded(limit: 1_000).utf8)
        let answers = await ClusterClients.answers(of: servers, within: .hours(1)) { server, _ in
            switch server.id.number % 3 {
            case 0: .success(empty)
            case 1: .success([1, 2, 3])
            default: .failure(PeerFailure("it was not reached"))
            }
        }
        #expect(answers.map(\.server) == servers.map { "\($0.id)" })
        let problems = [nil, "its answer cannot be read", "it was not reached"]
        for (number, answer) in answers.enumerated() { #expect(answer.problem == problems[number % 3]) }
    }

    @Test("A server that cannot be asked in time is named with that reason")
    func noTime() async {
        let answers = await ClusterClients.answers(of: Self.records(20), within: .zero) { _, _ in
            Issue.record("it was asked")
            return .success([])
        }
        #expect(answers.map(\.problem) == Array(repeating: "there was no time to ask it", count: 20))
    }

    @Test("Answers beyond the bound of all are left out")
    func room() async throws {
        let text = try HomeClients().encoded(limit: 1_000)
        let long = Array((text + String(repeating: " ", count: ClusterClients.answerBytes - text.utf8.count)).utf8)
        let answers = await ClusterClients.answers(of: Self.records(6), within: .hours(1)) { _, _ in .success(long) }
        #expect(answers.count { $0.problem == nil } == ClusterClients.allBytes / ClusterClients.answerBytes)
    }

    @Test("The question for clients is a destination of OPEN")
    func destination() {
        #expect(PeerDestination("clients") == .clients && PeerDestination.clients.text == "clients")
        #expect(PeerDestination("clients/") == nil)
    }
}
