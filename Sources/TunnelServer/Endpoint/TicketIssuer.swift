import ByteText
import Crypto
import TunnelAdmin
import TunnelCore

/// Issues tickets to authenticated clients. The model is WireGuard's cookie.
///
/// A ticket grants no access. It reserves a slot for the client's next connection while unauthenticated connections use
/// up the others.
///
/// ```
/// 01 | expiry, seconds since 1970 (8) | the client's tag (8) | first 16 bytes of HMAC-SHA-256(secret, all before)
/// ```
///
/// Each process has its own secret, so tickets do not survive a restart.
struct TicketIssuer: Sendable {
    /// Validity of a ticket. A week; a session gets a new one with each carrier.
    static let lifetime: Int64 = 604_800
    private static let length = 33

    private let secret = SymmetricKey(size: .bits256)

    /// Issues a ticket.
    ///
    /// - Parameter client: identifies the client; the ticket does not reveal it.
    func issue(to client: [UInt8], now: Int64) -> [UInt8] {
        let expires = UInt64(clamping: now + Self.lifetime)
        let tag = HMAC<SHA256>.authenticationCode(for: client, using: secret).prefix(8)
        let head = [1] + (0..<8).map { UInt8(truncatingIfNeeded: expires >> (56 - 8 * $0)) } + Array(tag)
        return head + proof(head)
    }

    /// The tag of the client that holds a ticket; nil if the ticket is not from this process, or has expired.
    func holder(of field: String, now: Int64) -> String? {
        guard field.utf8.count == (Self.length + 2) / 3 * 4, let ticket = Base64.decoded(field) else { return nil }
        guard ticket.count == Self.length, ticket[0] == 1 else { return nil }
        let head = Array(ticket[..<17])
        var difference: UInt8 = 0
        for (one, other) in zip(proof(head), ticket[17...]) { difference |= one ^ other }
        guard difference == 0 else { return nil }
        let expires = head[1..<9].reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        guard expires > UInt64(clamping: now) else { return nil }
        return "ticket " + head[9...].map { String($0, radix: 16) }.joined(separator: ".")
    }

    private func proof(_ head: [UInt8]) -> [UInt8] {
        Array(HMAC<SHA256>.authenticationCode(for: head, using: secret).prefix(16))
    }
}
