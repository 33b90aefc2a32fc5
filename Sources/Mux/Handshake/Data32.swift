import Crypto

/// 32 bytes with exclusive or, the operation that SCRAM needs.
struct Data32: Equatable {
    let bytes: [UInt8]

    init(_ bytes: some Sequence<UInt8>) {
        self.bytes = Array(bytes)
    }

    static func ^ (left: Data32, right: Data32) -> Data32 {
        Data32(zip(left.bytes, right.bytes).map { $0 ^ $1 })
    }
}

extension SymmetricKey {
    var bytes: [UInt8] { withUnsafeBytes { Array($0) } }
}
