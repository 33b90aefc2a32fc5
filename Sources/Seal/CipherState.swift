import Crypto
import NIOCore

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// A key and the nonce of its next message (Noise, section 5.1), with AES-256-GCM (section 12.4).
///
/// The nonce travels nowhere. It is four zero bytes and the counter, big-endian. A nonce counts as used before its
/// message is sealed, so no error leads to a second message with the same nonce.
struct CipherState: Sendable {
    /// Bytes of the tag behind each ciphertext.
    static let tagLength = 16
    /// The longest Noise message, bytes (section 3).
    static let longestMessage = 65_535

    private var key: SymmetricKey
    /// The nonce of the next message.
    private(set) var nonce: UInt64

    init(key: SymmetricKey, nonce: UInt64 = 0) {
        (self.key, self.nonce) = (key, nonce)
    }

    /// Takes the next nonce. The largest one is reserved for ``rekey()``.
    private mutating func takeNonce() throws(NoiseError) -> AES.GCM.Nonce {
        guard nonce < .max else { throw .exhausted }
        defer { nonce += 1 }
        return try Self.nonce(nonce)
    }

    private static func nonce(_ counter: UInt64) throws(NoiseError) -> AES.GCM.Nonce {
        var bytes = (
            UInt32(0), UInt32(truncatingIfNeeded: counter >> 32).bigEndian,
            UInt32(truncatingIfNeeded: counter).bigEndian
        )
        do {
            return try withUnsafeBytes(of: &bytes) { try AES.GCM.Nonce(data: $0) }
        } catch {
            throw .ended
        }
    }

    /// EncryptWithAd: returns the ciphertext and its tag.
    mutating func encrypt(_ plaintext: [UInt8], authenticating data: [UInt8]) throws(NoiseError) -> [UInt8] {
        let nonce = try takeNonce()
        guard let box = try? AES.GCM.seal(plaintext, using: key, nonce: nonce, authenticating: data) else {
            throw .ended
        }
        return Array(box.ciphertext) + Array(box.tag)
    }

    /// DecryptWithAd. After a failure the nonce is unchanged (section 5.1).
    mutating func decrypt(_ message: some Collection<UInt8>, authenticating data: [UInt8]) throws(NoiseError) -> [UInt8]
    {
        guard message.count >= Self.tagLength else { throw .length(message.count) }
        var next = self
        let nonce = try next.takeNonce()
        guard
            let box = try? AES.GCM.SealedBox(
                nonce: nonce,
                ciphertext: Array(message.dropLast(Self.tagLength)),
                tag: Array(message.suffix(Self.tagLength))
            ),
            let plaintext = try? AES.GCM.open(box, using: key, authenticating: data)
        else { throw .authentication }
        self = next
        return Array(plaintext)
    }

    /// Rekey: replaces the key with one that does not lead back to it (sections 4.2 and 11.3). The nonce goes on.
    ///
    /// The old key is overwritten. A copy of the new one, in the box of swift-crypto, is freed and not overwritten.
    mutating func rekey() throws(NoiseError) {
        let zeros = [UInt8](repeating: 0, count: 32)
        guard let box = try? AES.GCM.seal(zeros, using: key, nonce: Self.nonce(.max)) else { throw .ended }
        key = SymmetricKey(data: box.ciphertext)
    }
}

extension CipherState {
    /// Replaces the bytes of `buffer` from `start` on with their ciphertext, and appends the tag.
    mutating func seal(_ buffer: inout ByteBuffer, from start: Int) throws(NoiseError) {
        let nonce = try takeNonce()
        let count = buffer.writerIndex - start
        let box = buffer.withUnsafeReadableBytes { bytes in
            try? AES.GCM.seal(UnsafeRawBufferPointer(rebasing: bytes.suffix(count)), using: key, nonce: nonce)
        }
        guard let box, let sealed = box.combined else { throw .ended }
        buffer.moveWriterIndex(to: start)
        // Nonce, ciphertext and tag in one piece.
        sealed.withUnsafeBytes { bytes in
            _ = buffer.writeBytes(
                UnsafeRawBufferPointer(rebasing: bytes.dropFirst(bytes.count - count - Self.tagLength))
            )
        }
    }

    /// Replaces a ciphertext and its tag, which are all readable bytes, with the plaintext. A failure leaves the buffer
    /// unchanged.
    mutating func open(_ buffer: inout ByteBuffer) throws(NoiseError) {
        let count = buffer.readableBytes - Self.tagLength
        guard count >= 0 else { throw .length(buffer.readableBytes) }
        let nonce = try takeNonce()
        let plaintext = buffer.withUnsafeReadableBytes { bytes -> Data? in
            guard
                let box = try? AES.GCM.SealedBox(
                    nonce: nonce,
                    ciphertext: UnsafeRawBufferPointer(rebasing: bytes.prefix(count)),
                    tag: UnsafeRawBufferPointer(rebasing: bytes.suffix(Self.tagLength))
                )
            else { return nil }
            return try? AES.GCM.open(box, using: key)
        }
        guard let plaintext else { throw .authentication }
        // The message is a slice of what was read, often. To write into it would copy it first.
        var opened = ByteBufferAllocator().buffer(capacity: plaintext.count)
        plaintext.withUnsafeBytes { _ = opened.writeBytes($0) }
        buffer = opened
    }
}
