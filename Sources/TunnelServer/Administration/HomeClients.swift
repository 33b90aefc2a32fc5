import TunnelAdmin

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The clients of one server as it names them to another one, in JSON.
struct HomeClients: Codable, Sendable, Hashable {
    /// Sessions for which the answer has no room.
    var sessionsLeftOut = 0
    /// Its sessions.
    var sessions: [ClusterSession] = []

    /// No clients.
    init() {}

    /// The sessions of a server.
    init(of core: ServerCore) async {
        for session in core.liveSessions {
            guard let status = try? await session.status(isWhole: false).get() else { continue }
            sessions.append(ClusterSession(status))
        }
        sessions.sort { $0.since < $1.since }
    }

    /// Reads the answer of another server.
    ///
    /// - Throws: if it is something else.
    init(_ bytes: [UInt8]) throws {
        let read = try StatusJSON.decode(HomeClients.self, from: Data(bytes))
        sessionsLeftOut = read.sessionsLeftOut.asCount
        sessions = read.sessions.map(\.checked)
    }

    /// The JSON. Half of the sessions are left out, the latest ones, until it has at most so many bytes.
    func encoded(limit: Int) throws -> String {
        var clients = self
        while true {
            let text = StatusJSON.line(try StatusJSON.encode(clients))
            if text.utf8.count <= limit || clients.sessions.isEmpty { return text }
            let left = (clients.sessions.count + 1) / 2
            clients.sessions.removeLast(left)
            clients.sessionsLeftOut += left
        }
    }
}
