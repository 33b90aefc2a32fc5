import NIOCore

/// Compresses the messages that a connection sends, each into a single frame.
///
/// It creates zlib's state for the first compressed message and reuses it for later ones.
struct MessageDeflater: ~Copyable, Sendable {
    private let options: DeflateOptions
    private let noContextTakeover: Bool
    private let windowBits: Int
    private var deflater: Deflater?

    init(_ agreement: DeflateAgreement, role: WebSocketRole) {
        options = agreement.options
        (noContextTakeover, windowBits) = agreement.direction(from: role)
    }

    /// Appends a compressed frame.
    ///
    /// - Parameter plain: the header of the uncompressed frame.
    /// - Returns: false, with nothing appended, if the message is better sent uncompressed.
    /// - Throws: `compressorFailed` if zlib fails.
    mutating func encode(
        _ plain: FrameHeader,
        _ prefix: ByteBuffer,
        _ payload: ByteBuffer,
        into out: inout ByteBuffer
    ) throws(WebSocketError) -> Bool {
        let length = plain.payloadLength
        // zlib produces nothing for a flush without input, and counts its input in 32 bits.
        guard length >= max(1, options.minimumBytes), length <= Int(Int32.max) else { return false }
        // zlib cannot compress with the narrowest window that a peer may ask for. Compression is optional.
        guard windowBits >= DeflateOptions.narrowestForCompressing else { return false }
        if deflater == nil {
            deflater = Deflater.make(windowBits: windowBits, noContextTakeover: noContextTakeover, options: options)
        }
        // The length of the header depends on the output, so room is left for the longest header.
        let start = out.writerIndex
        out.reserveCapacity(minimumWritableBytes: FrameHeader.maximumBytes + length / 2 + 64)
        out.moveWriterIndex(forwardBy: FrameHeader.maximumBytes)
        let isCompressed = deflater?.compress(prefix, payload, into: &out) ?? false
        var header = plain
        header.isCompressed = true
        header.payloadLength = out.writerIndex - start - FrameHeader.maximumBytes
        // If the window is kept, the peer must receive everything that entered it.
        guard isCompressed, !noContextTakeover || header.payloadLength < length else {
            out.moveWriterIndex(to: start)
            if isCompressed { return false }
            throw .compressorFailed
        }
        header.encode(at: start, in: &out)
        return true
    }
}
