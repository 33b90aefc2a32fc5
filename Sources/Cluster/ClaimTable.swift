/// Claims by place. Its size is that of the claims that it holds.
package struct ClaimTable: Sendable {
    private var byPlace: [ClaimPlace: [HeldClaim]] = [:]
    /// The number of claims.
    package private(set) var count = 0

    /// Creates an empty table.
    package init() {}

    /// All claims, in no order.
    package var all: [HeldClaim] { byPlace.values.flatMap { $0 } }

    /// The places that have a claim.
    package var places: some Collection<ClaimPlace> { byPlace.keys }

    /// The claims of one place.
    package func claims(of place: ClaimPlace) -> [HeldClaim] { byPlace[place] ?? [] }

    /// The claim with a key.
    package subscript(key: ClaimKey) -> HeldClaim? { byPlace[key.place]?.first { $0.claim.key == key } }

    /// The claims that another one cannot exist beside.
    package func excluding(_ key: ClaimKey) -> [HeldClaim] {
        claims(of: key.place).filter { $0.claim.key.excludes(key) }
    }

    /// Writes a claim in the place of the one with the same key.
    package mutating func set(_ held: HeldClaim) {
        let key = held.claim.key
        if let index = byPlace[key.place]?.firstIndex(where: { $0.claim.key == key }) {
            byPlace[key.place]?[index] = held
        } else {
            byPlace[key.place, default: []].append(held)
            count += 1
        }
    }

    /// Removes the claim with a key.
    ///
    /// - Returns: the claim; nil if there was none.
    @discardableResult
    package mutating func remove(_ key: ClaimKey) -> HeldClaim? {
        guard let index = byPlace[key.place]?.firstIndex(where: { $0.claim.key == key }) else { return nil }
        let removed = byPlace[key.place]?.remove(at: index)
        if byPlace[key.place]?.isEmpty == true { byPlace[key.place] = nil }
        count -= 1
        return removed
    }
}
