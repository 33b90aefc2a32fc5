import Mux

/// What a dial is for.
enum DialPurpose: Sendable {
    /// A session begins.
    case begin
    /// A session that has lost its last carrier, or that replaces the one of its first lane, goes on.
    case resume(ClientSessionHandle)
    /// A session gets a further lane, or one of its further lanes gets another carrier.
    case lane(ClientSessionHandle, LaneID)

    /// The session that needs the carrier; nil if one begins.
    var session: ClientSessionHandle? {
        switch self {
        case .begin: nil
        case .resume(let session), .lane(let session, _): session
        }
    }

    /// Whether another session may begin if the server does not know this one.
    var mayBegin: Bool {
        switch self {
        case .begin: true
        case .resume(let session): session.withoutCarrierSince != nil
        case .lane: false
        }
    }

    /// The content of the RESUME; nil if a session begins, or if it is over. On the event loop.
    func ticket() -> ClientHandshake.Ticket? {
        switch self {
        case .begin: nil
        case .resume(let session): session.ticket()
        case .lane(let session, let lane): session.ticket(for: lane)
        }
    }
}
