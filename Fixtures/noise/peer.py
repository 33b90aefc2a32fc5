"""The other end of handshakes and transport messages, by an independent implementation of Noise.

    peer.py LIBRARY

LIBRARY is `noise` (PyPI's noiseprotocol) or `dissononce` (Debian's python3-dissononce). Each line of standard input is
a command for a handshake with a number, and each answer is a line of hexadecimal digits, or `error`. An empty text is
`-`.

    start N PROTOCOL initiator|responder PSK PROLOGUE KEY
    write N PAYLOAD     the next message of the handshake
    read N MESSAGE      the payload of the peer's message
    hash N              of the complete handshake
    seal N PLAINTEXT    the next transport message
    open N MESSAGE      the plaintext of the peer's message
    rekey N seal|open   of one direction
    seek N seal|open M  to message M of one direction

KEY is the responder's static key: the public one for the initiator, the private one for the responder.
"""

import sys


class NoiseProtocol:
    """PyPI's noiseprotocol."""

    def __init__(self, protocol, initiator, psk, prologue, key):
        from noise.connection import Keypair, NoiseConnection

        self.connection = NoiseConnection.from_name(protocol.encode())
        self.connection.set_psks(psk)
        self.connection.set_prologue(prologue)
        if initiator:
            self.connection.set_as_initiator()
            if key:
                self.connection.set_keypair_from_public_bytes(Keypair.REMOTE_STATIC, key)
        else:
            self.connection.set_as_responder()
            if key:
                self.connection.set_keypair_from_private_bytes(Keypair.STATIC, key)
        self.connection.start_handshake()

    def write(self, payload):
        return bytes(self.connection.write_message(payload))

    def read(self, message):
        return bytes(self.connection.read_message(message))

    def hash(self):
        return self.connection.get_handshake_hash()

    def seal(self, plaintext):
        return self.connection.encrypt(plaintext)

    def open(self, message):
        return self.connection.decrypt(message)

    def rekey(self, sealing):
        if sealing:
            self.connection.rekey_outbound_cipher()
        else:
            self.connection.rekey_inbound_cipher()

    def seek(self, sealing, number):
        protocol = self.connection.noise_protocol
        (protocol.cipher_state_encrypt if sealing else protocol.cipher_state_decrypt).n = number


class Dissononce:
    """Debian's python3-dissononce."""

    def __init__(self, protocol, initiator, psk, prologue, key):
        from dissononce.dh.x25519.public import PublicKey
        from dissononce.dh.x25519.x25519 import X25519DH
        from dissononce.dh.x25519.private import PrivateKey
        from dissononce.extras.meta.protocol.factory import NoiseProtocolFactory

        noise = NoiseProtocolFactory().get_noise_protocol(protocol)
        self.initiator = initiator
        self.state = noise.create_handshakestate()
        own = X25519DH().generate_keypair(PrivateKey(key)) if key and not initiator else None
        peer = PublicKey(key) if key and initiator else None
        self.state.initialize(noise.pattern, initiator, prologue, s=own, rs=peer, psks=[psk])
        self.ciphers = None

    def write(self, payload):
        message = bytearray()
        self.ciphers = self.state.write_message(payload, message) or self.ciphers
        return bytes(message)

    def read(self, message):
        payload = bytearray()
        self.ciphers = self.state.read_message(message, payload) or self.ciphers
        return bytes(payload)

    def hash(self):
        return self.state.symmetricstate.get_handshake_hash()

    def cipher(self, sealing):
        return self.ciphers[0 if sealing == self.initiator else 1]

    def seal(self, plaintext):
        return self.cipher(True).encrypt_with_ad(b"", plaintext)

    def open(self, message):
        return self.cipher(False).decrypt_with_ad(b"", message)

    def rekey(self, sealing):
        cipher = self.cipher(sealing)
        nonce = cipher._nonce
        # The library's own method keeps the tag and sets the nonce to 0, unlike sections 4.2 and 11.3.
        cipher.initialize_key(cipher.cipher.rekey(cipher._key)[:32])
        cipher.set_nonce(nonce)

    def seek(self, sealing, number):
        self.cipher(sealing).set_nonce(number)


def decode(text):
    return b"" if text == "-" else bytes.fromhex(text)


def main():
    library = {"noise": NoiseProtocol, "dissononce": Dissononce}[sys.argv[1]]
    peers = {}
    for line in sys.stdin:
        command, number, *words = line.split()
        answer = b""
        try:
            if command == "start":
                protocol, role, *texts = words
                peers[number] = library(protocol, role == "initiator", *map(decode, texts))
            elif command == "hash":
                answer = peers[number].hash()
            elif command == "rekey":
                peers[number].rekey(words[0] == "seal")
            elif command == "seek":
                peers[number].seek(words[0] == "seal", int(words[1]))
            else:
                answer = getattr(peers[number], command)(decode(words[0]))
            print(answer.hex() or "-", flush=True)
        except Exception as error:
            print(f"{command}: {type(error).__name__} {error}", file=sys.stderr, flush=True)
            print("error", flush=True)


main()
