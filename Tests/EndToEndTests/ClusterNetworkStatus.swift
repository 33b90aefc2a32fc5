import Foundation
import TestSupport
import Tunnel
import TunnelServer

extension ClusterNetwork {
    /// The status of a server; nil if it does not answer soon.
    func status(of place: Place, within limit: Duration = .seconds(2)) async -> ServerStatus? {
        try? await onThread {
            let answer = try TCPSocket(unixPath: place.admin, timeout: limit).request("GET", "/status")
            return try StatusJSON.decode(ServerStatus.self, from: Data(answer.body.utf8))
        }
    }

    /// The statuses of all servers that answer, by place.
    func statuses() async -> [Int: ServerStatus] {
        await withTaskGroup(of: (Int, ServerStatus?).self) { tasks in
            for (number, place) in places.enumerated() {
                tasks.addTask { (number, await status(of: place)) }
            }
            return await tasks.reduce(into: [:]) { $0[$1.0] = $1.1 }
        }
    }

    /// The server whose session has a visitor's stream.
    func home(of visitor: String) async -> Int? {
        await statuses().first { status in
            status.value.sessions.contains { $0.visitors.contains { $0.address == visitor } }
        }?.key
    }
}
