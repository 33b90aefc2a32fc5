/// The group whose members share a public place, as part of BIND.
public struct RequestedGroup: Sendable, Hashable {
    /// The longest name of a group, bytes.
    public static let longestName = 64

    /// The group's name.
    public var name: String
    /// 32 bytes that only an owner of the group's key can make. The key does not travel.
    public var proof: [UInt8]
    /// Whether visitors from one address go to the same member.
    public var isSticky: Bool

    /// A group.
    public init(name: String, proof: [UInt8], isSticky: Bool = false) {
        (self.name, self.proof, self.isSticky) = (name, proof, isSticky)
    }

    func write(to fields: inout FieldWriter) {
        fields.append(18, name, atMost: Self.longestName)
        fields.append(19, proof)
        if isSticky { fields.append(20, number: UInt8(1)) }
    }

    /// - Returns: nil if the place is not for a group.
    init?(_ fields: FieldReader) throws(MuxError) {
        let name = try fields.text(18, atMost: Self.longestName)
        guard !name.isEmpty else { return nil }
        self.init(
            name: name,
            proof: try fields.bytes(19, count: 32),
            isSticky: try fields.optionalNumber(20, as: UInt8.self) == 1
        )
    }
}
