import HTTP1
import TunnelCore

/// Where a carrier comes from, as the server sees it and as a front reports it.
struct CarrierOrigin: Sendable, Hashable, ExpressibleByStringLiteral, CustomStringConvertible {
    /// Whether a front reports the client's address.
    enum Front: String, Sendable {
        /// None does.
        case none
        /// One does, and the operator has named it.
        case trusted
        /// One does, and the operator has not named it.
        case untrusted
    }

    /// The client's address, as the limits count it and as the log shows it.
    var address: String
    /// The other end of the TCP connection.
    var socket: String
    var front = Front.none
    /// The address that a front reports, believed or not; empty without one.
    var reported = ""
    /// The Via field of the upgrade request; empty without one.
    var via = ""

    /// A carrier without a front.
    init(_ address: String) {
        self.address = address
        socket = address
    }

    init(stringLiteral address: String) {
        self.init(address)
    }

    /// The front's address if it has named the client's; nil otherwise.
    var frontAddress: String? { address == socket ? nil : socket }

    /// The client's address.
    var description: String { address }

    /// Notes what a front says in the upgrade request.
    ///
    /// - Parameter isTrusted: whether the connection comes from a front that the operator has named.
    mutating func note(_ head: RequestHead, isTrusted: Bool) {
        via = head.fields.list("Via").joined(separator: ", ")
        let fields = ["X-Forwarded-For", "Forwarded", "X-Real-IP"]
        reported = fields.lazy.compactMap { head.fields.list($0).last }.first ?? ""
        if isTrusted, address != socket {
            front = .trusted
        } else if !reported.isEmpty {
            front = isTrusted ? .trusted : .untrusted
        }
    }
}
