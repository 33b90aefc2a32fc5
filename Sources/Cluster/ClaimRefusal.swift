/// Why a server does not get a claim.
package enum ClaimRefusal: Sendable, Hashable {
    /// Another client or group holds the place, or another process of the client.
    case held(HeldClaim)
    /// Another server has a session of the same process, and it answers.
    case heldBySame(HeldClaim)
    /// The store does not answer in time: the client comes back later.
    case storeUnreachable
    /// This server has as many claims as it may have.
    case limit(Int)
}
