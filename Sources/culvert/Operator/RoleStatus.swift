import Tunnel

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The status of the role that has answered.
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
            throw Failure(.notOurProtocol, "the answer is not a status that this release can read")
        }
    }

    /// A session of either role, with what the tables of tunnels and visitors show.
    struct Session {
        let number: Int
        /// The client's name at a server; empty at a client.
        let name: String
        let lanes: [LaneStatus]
        let tunnels: [TunnelStatus]
        let visitors: [VisitorStatus]
    }

    /// The present sessions.
    var sessions: [Session] {
        switch self {
        case .server(let status):
            status.sessions.map {
                Session(
                    number: $0.number,
                    name: $0.name,
                    lanes: $0.lanes,
                    tunnels: $0.tunnels,
                    visitors: $0.visitors
                )
            }
        case .client(let status):
            status.sessions.enumerated().map { index, session in
                Session(
                    // The counts of each new session begin at zero, so it gets a number of its own.
                    number: status.totals.sessions + index << 32,
                    name: "",
                    lanes: session.lanes,
                    tunnels: session.tunnels,
                    visitors: session.visitors + (index == 0 ? status.connections : [])
                )
            }
        }
    }

    /// The totals since the start.
    var totals: TotalStatus {
        switch self {
        case .server(let status): status.totals
        case .client(let status): status.totals
        }
    }
}
