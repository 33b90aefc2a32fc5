/// Random bytes, so that a comparison detects lost, repeated or moved parts.
public func randomBytes(_ count: Int) -> [UInt8] {
    var generator = SystemRandomNumberGenerator()
    return [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
        let raw = UnsafeMutableRawBufferPointer(buffer)
        var offset = 0
        while offset < count {
            withUnsafeBytes(of: generator.next()) { word in
                let piece = min(word.count, count - offset)
                for index in 0..<piece { raw[offset + index] = word[index] }
                offset += piece
            }
        }
        initialized = count
    }
}
