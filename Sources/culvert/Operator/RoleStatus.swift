import Foundation
import Tunnel

/// The status of whichever role has answered.
enum RoleStatus {
    case server(ServerStatus)
    case client(ClientStatus)

    private struct Role: Decodable {
        let role: String
    }

    /// Reads the answer to `GET /status`.
    init(_ data: Data) throws(Failure) {
        do {
            switch try StatusJSON.decode(Role.self, from: data).role {
            case "client": self = .client(try StatusJSON.decode(ClientStatus.self, from: data))
            default: self = .server(try StatusJSON.decode(ServerStatus.self, from: data))
            }
        } catch {
            throw Failure(.notOurProtocol, "the answer is no status that this release can read")
        }
    }

    /// A session of either role, as far as the tables of tunnels and visitors are concerned.
    struct Session {
        let number: Int
        /// Whose it is; empty for a client's own.
        let name: String
        let tunnels: [TunnelStatus]
        let visitors: [VisitorStatus]
    }

    /// The sessions that stand.
    var sessions: [Session] {
        switch self {
        case .server(let status):
            status.sessions.map {
                Session(number: $0.number, name: $0.name, tunnels: $0.tunnels, visitors: $0.visitors)
            }
        case .client(let status):
            status.session.map {
                // Each new session begins its counts anew, and gets a number of its own.
                [Session(number: status.totals.sessions, name: "", tunnels: $0.tunnels, visitors: $0.visitors)]
            } ?? []
        }
    }

    /// Since the start.
    var totals: TotalStatus {
        switch self {
        case .server(let status): status.totals
        case .client(let status): status.totals
        }
    }
}
