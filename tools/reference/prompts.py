# SPDX-License-Identifier: LGPL-2.1-or-later
"""Prompts in many scripts, plain and mangled, for the tests of cleaning and tokenizing.  Each seed has its own list."""
import html.entities
import random

import fresh

SENTENCES = """a red balloon over green hills
A cat walks on the grass, realistic style.
two astronauts dancing on the moon, cinematic lighting, 35mm film, f/1.8
slow-motion shot of waves breaking on a rocky shore at golden hour; seagulls cry
An old man (70s) with a weathered face repairs a clock -- extreme close-up, shallow depth of field
Camera pans left: neon signs, rain, reflections & umbrellas... 4K, 24 fps, no text!
don't blur the dog's fur; keep "sharp" edges
the quick brown fox jumps over the lazy dog 1234567890
un globo rojo sobre colinas verdes, señora, ¿dónde está el niño?
ein roter Luftballon über grünen Hügeln, Straße im Nebel, Größe äöüß
un ballon rouge au-dessus de collines vertes, l'été à la plage, œuvre, cœur, garçon
un palloncino rosso sopra colline verdi, perché così è più bello
um balão vermelho sobre colinas verdes, coração, manhã, avô
czerwony balon nad zielonymi wzgórzami, zażółć gęślą jaźń
červený balón nad zelenými kopci, příliš žluťoučký kůň úpěl ďábelské ódy
piros léggömb a zöld dombok felett, árvíztűrő tükörfúrógép
yeşil tepelerin üzerinde kırmızı bir balon, İstanbul, ığdır, şöför
en röd ballong över gröna kullar, blåbär, ø, æ, å
punainen ilmapallo vihreiden kukkuloiden yllä, hyvää yötä
rauður blöðrubelgur yfir grænum hæðum, það er þoka
một quả bóng bay màu đỏ trên những ngọn đồi xanh, người phụ nữ đi bộ
красный воздушный шар над зелёными холмами, съёмка с дрона
червона повітряна куля над зеленими пагорбами, їжак, ґанок, є
червен балон над зелени хълмове, ъгъл
црвени балон изнад зелених брда, љубав, њива, џеп
κόκκινο μπαλόνι πάνω από πράσινους λόφους, ήλιος και θάλασσα
կարմիր փուչիկ կանաչ բլուրների վրա
წითელი ბუშტი მწვანე ბორცვებზე
בלון אדום מעל גבעות ירוקות, שָׁלוֹם עולם
بالون أحمر فوق تلال خضراء، مشهد سينمائي، مَرْحَبًا
بادکنک قرمز بر فراز تپه‌های سبز، می‌خواهم
سبز پہاڑیوں کے اوپر سرخ غبارہ
हरी पहाड़ियों के ऊपर एक लाल गुब्बारा, क्षत्रिय ज्ञान
সবুজ পাহাড়ের উপর একটি লাল বেলুন
ਹਰੀਆਂ ਪਹਾੜੀਆਂ ਉੱਤੇ ਲਾਲ ਗੁਬਾਰਾ
લીલી ટેકરીઓ ઉપર લાલ ફુગ્ગો
பச்சை மலைகளுக்கு மேல் ஒரு சிவப்பு பலூன்
ఆకుపచ్చ కొండలపై ఎర్ర బెలూన్
ಹಸಿರು ಬೆಟ್ಟಗಳ ಮೇಲೆ ಕೆಂಪು ಬಲೂನ್
പച്ച കുന്നുകൾക്ക് മുകളിൽ ഒരു ചുവന്ന ബലൂൺ
කොළ පැහැති කඳු මත රතු බැලූනයක්
ลูกโป่งสีแดงเหนือเนินเขาสีเขียว ภาพยนตร์
ປູມເປົ້າສີແດງເທິງເນີນພູສີຂຽວ
အစိမ်းရောင်တောင်ကုန်းများပေါ်တွင် အနီရောင်ပူဖောင်း
ប៉េងប៉ោងក្រហមលើភ្នំបៃតង
རི་སྔོན་པོའི་སྟེང་དུ་སྦུ་གུ་དམར་པོ།
በአረንጓዴ ኮረብቶች ላይ ቀይ ፊኛ
一个红色的气球飘过绿色的山丘，电影感，4K画质。
綠色山丘上的紅色氣球，夕陽西下，鏡頭緩慢推進
緑の丘の上の赤い風船、夕焼け、スローモーション。
ガラスの中で泳ぐ金魚、ﾊﾝｶｸｶﾅ、パピプペポ
초록 언덕 위의 빨간 풍선, 영화 같은 조명
한국의 가을 산, 단풍잎이 바람에 날린다
sebuah balon merah di atas bukit hijau
isang pulang lobo sa ibabaw ng luntiang burol
puto jekundu juu ya vilima vya kijani
ibhaloni elibomvu phezu kwamagquma aluhlaza
balon wamma a kan tuddai masu kore, ƙauye, ɗan, ɓera
bọ́ọ̀lù pupa lórí òkè aláwọ̀ ewé
balún dearg os cionn cnoc glas
ᐊᐅᐸᖅᑐᖅ ᓱᑉᐴᔭᖅ
ⵜⴰⴳⵓⵔⵉ ⵜⴰⵣⴳⴳⵯⴰⵖⵜ
𐌲𐌰𐍂𐌳𐌰 𝔣𝔯𝔞𝔨𝔱𝔲𝔯 𝒮𝒸𝓇𝒾𝓅𝓉 𝟘𝟙𝟚 ℕℤℚ ½ ⅔ x² H₂O ™ © № ℃ Å ﷺ""".split("\n")

EMOJI = ["😀", "🎈", "❤️", "👩‍🚀", "👨‍👩‍👧‍👦", "🏳️‍🌈", "🇩🇪", "👍🏽", "1️⃣", "🏴\U000e0067\U000e0062\U000e0077\U000e006c\U000e0073\U000e007f", "☀", "✨", "🫠", "©️", "⏳"]
QUOTES = ["“%s”", "‘%s’", "„%s‟", "‛%s‚", "«%s»", "it’s %s", "ʼ%s", "″%s′"]
SPACES = [" ", "  ", "\t", "\n", "\r\n", "\r", "\u00a0", "\u2003", "\u2028", "\u2029", "\u3000", "\u205f", "\v", "\f", " \n ", "\u200b", "\u202f", "\u0085"]
CONTROLS = ["\x01", "\x07", "\x1b[31m", "\x1b[0m", "\x1b[1;32;40mx", "\x1b[", "\x1b", "\x7f", "\ufeff", "\ufffc", "\u206a", "\ufff9", "\u200e", "\u200c", "\u2060", "\u00ad", "\x80", "\x9c", "\x1c"]
LIGATURES = ["ﬁ", "ﬂ", "ﬀ", "ﬃ", "ﬄ", "ﬆ", "ﬅ", "Ĳ", "ĳ", "ŉ", "Ǆ", "ǆ", "ǈ", "Ǌ", "ǲ", "ﬓ", "ﬗ", "æ"]
ENTITIES = ["&amp;", "&lt;", "&gt;", "&quot;", "&#39;", "&#x27;", "&nbsp;", "&eacute;", "&EACUTE;", "&amp;amp;lt;", "&notit;", "&not", "&copy", "&ampx", "&AMP",
            "&#0;", "&#1;", "&#128;", "&#x9f;", "&#xD800;", "&#1114112;", "&#99999999999;", "&#59;", "&#x;", "&#;", "&;", "&", "&&", "&#12ab;", "&bogus;", "&NotEqualTilde;",
            "&fjlig;", "&FFILIG;", "&SZLIG;", "&NAPOS;", "&hearts;", "&zwj;", "&#x1F600;", "&#128512", "&CounterClockwiseContourIntegral;", "&amp;#x41;", "&lt;b&gt;", "<b>", "&notin;",
            "&Aacute", "&aacutex;", "&#10;", "&#xfdd0;", "&#xfffe;", "&#x0B;", "&tab;", "&Tab;", "&NewLine;", "&sup2;", "&AP;", "&LTIMES;", "&#X41;", "&#X", "x&y;z", "AT&T;"]


def full_width(s):
    return "".join(chr(ord(c) + 0xfee0) if "!" <= c <= "~" else "\u3000" if c == " " else c for c in s)


def prompts():
    rnd = random.Random(fresh.seed(20261123))
    out = list(SENTENCES)
    out += EMOJI + LIGATURES + ["a%sb" % s for s in SPACES] + ["a%sb" % c for c in CONTROLS] + ["%s a%sb" % (e, e) for e in ENTITIES]
    out += ["", " ", "\n", "a", "  a  ", "\t\n a b \r\n"]
    names = sorted(html.entities.html5)
    for i in range(0, len(names), 8):                   # every name: as it is, in capitals, running into what follows
        part = names[i:i + 8]
        out.append(" ".join("&" + n for n in part))
        out.append(" ".join("&" + n.upper() for n in part if n.endswith(";")))
    for i in range(0, len(names), 40):
        out.append("x".join("&" + n.rstrip(";") for n in names[i:i + 40:3]))
    for first in list(range(0xff00, 0xfff0, 16)) + list(range(0x2000, 0x2070, 16)) + list(range(0x300, 0x370, 16)):
        out.append("".join("a" + chr(c) for c in range(first, first + 16)))
    for s in SENTENCES:
        out.append(s.upper())
        out.append(full_width(s))
        out.append(" ".join(reversed(s.split(" "))))
    while len(out) < 2400:
        words = rnd.choice(SENTENCES).split(" ")
        at = rnd.randrange(len(words))
        words = words[at:at + rnd.randrange(1, 12)]
        if rnd.random() < 0.3:
            words += rnd.choice(SENTENCES).split(" ")[:rnd.randrange(1, 6)]
        for _ in range(rnd.randrange(0, 4)):
            at = rnd.randrange(len(words))
            kind = rnd.randrange(7)
            if kind == 0: words[at] = rnd.choice(QUOTES) % words[at]
            elif kind == 1: words[at] += rnd.choice(EMOJI)
            elif kind == 2: words[at] += rnd.choice(ENTITIES)
            elif kind == 3: words[at] += rnd.choice(LIGATURES)
            elif kind == 4: words[at] += rnd.choice(CONTROLS)
            elif kind == 5: words[at] = full_width(words[at])
            else: words[at] += chr(rnd.choice([rnd.randrange(0xa1, 0x3000), rnd.randrange(0x1f300, 0x1faff), rnd.randrange(0x4e00, 0x9fff)]))
        s = words[0]
        for w in words[1:]:
            s += (rnd.choice(SPACES) if rnd.random() < 0.15 else " ") + w
        out.append(s)
    return out
