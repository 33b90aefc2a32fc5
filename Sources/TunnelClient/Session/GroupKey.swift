import Crypto
import Mux

/// The secret that members of a group share. It does not travel: the server gets a value that only its owners can make, and
/// compares those of the members.
public struct GroupKey: Sendable {
    /// The least length, characters.
    public static let shortest = 16

    private let key: SymmetricKey

    /// A key; nil if it is too short.
    public init?(_ text: String) {
        guard text.utf8.count >= Self.shortest else { return nil }
        key = SymmetricKey(data: Array(text.utf8))
    }

    /// The request to share a place with a group.
    public func request(for group: String, isSticky: Bool) -> RequestedGroup {
        let message = Array("culvert group 1".utf8) + [0] + Array(group.utf8)
        let proof = Array(HMAC<SHA256>.authenticationCode(for: message, using: key))
        return RequestedGroup(name: group, proof: proof, isSticky: isSticky)
    }
}
